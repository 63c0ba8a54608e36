import { Module } from '@nestjs/common';
import * as contracts from '#contracts';
import { DashboardModule } from '#dashboard';
import { NotificationsModule } from '#notifications';
import { ApiRoleModule } from '#roles';
import { BatchesHttpModule } from './batches/batches.controller.js';
import { JobsHttpModule } from './jobs-http.module.js';
import { SchedulesHttpModule } from './schedules.controller.js';

/** HTTP in, 202 out. */
@Module({
  imports: [
    // One a line, for `npm run remove` to take out.
    JobsHttpModule,
    SchedulesHttpModule,
    BatchesHttpModule,
    DashboardModule,
    NotificationsModule,
    ApiRoleModule.forRoot({ contracts }),
  ],
})
export class ApiModule {}
