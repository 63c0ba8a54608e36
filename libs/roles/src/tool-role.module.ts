import { type DynamicModule, Module } from '@nestjs/common';
import { loadSettings } from '#config';
import { JobsModule, type JobsModuleOptions, RelayModule } from '#jobs';

/** Connections to the database: a tool does one thing at a time. */
const POOL_SIZE = 2;

/** What a program needs that an operator runs: jobs, records, broker, and the relay to help the workers publish. */
@Module({})
export class ToolRoleModule {
  static forRoot({ settings = loadSettings, ...options }: JobsModuleOptions): DynamicModule {
    const withSmallPool = () => ({ ...settings(), DATABASE_POOL: POOL_SIZE });
    return {
      module: ToolRoleModule,
      imports: [JobsModule.forRoot({ ...options, settings: withSmallPool }), RelayModule],
    };
  }
}
