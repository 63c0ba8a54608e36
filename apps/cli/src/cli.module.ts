import { Module } from '@nestjs/common';
import * as contracts from '#contracts';
import { ToolRoleModule } from '#roles';
import { SchedulesModule } from '#schedules';

/** The modules that the commands use. */
@Module({
  imports: [
    // One a line, for `npm run remove` to take out.
    ToolRoleModule.forRoot({ contracts }),
    SchedulesModule,
  ],
})
export class CliModule {}
