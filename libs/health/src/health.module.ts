import { type DynamicModule, type InjectionToken, Module, type ModuleMetadata } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { HealthController, READINESS } from './health.controller.js';

export interface ReadinessCheck {
  /** What is checked, as the answer names it: `database`. */
  readonly name: string;
  /** @returns true, or a sentence on what is missing. It may also throw. */
  check(): Promise<true | string> | true | string;
}

export interface HealthOptions extends Pick<ModuleMetadata, 'imports'> {
  inject: InjectionToken[];
  // biome-ignore lint/suspicious/noExplicitAny: takes whatever `inject` names
  useFactory: (...args: any[]) => ReadinessCheck[];
}

/** Answers `/health/live` and `/health/ready`. */
@Module({})
export class HealthModule {
  static forRoot({ imports = [], inject, useFactory }: HealthOptions): DynamicModule {
    return {
      module: HealthModule,
      imports: [TerminusModule.forRoot({ logger: false }), ...imports],
      controllers: [HealthController],
      providers: [{ provide: READINESS, inject, useFactory }],
    };
  }
}
