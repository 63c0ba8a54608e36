import { Module, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { BatchesModule } from '#batches';
import { HttpModule, JobWatcherModule } from '#http';
import { SchedulesModule } from '#schedules';
import { Access } from './access.js';
import { AssetsController } from './assets.controller.js';
import { AuditPage } from './audit.page.js';
import { BatchesPage } from './batches.page.js';
import { Board } from './board.js';
import { DeadLettersPage } from './dead-letters.page.js';
import { EventsController } from './events.controller.js';
import { serveDashboard } from './http.js';
import { JobPage } from './job.page.js';
import { JobsPage } from './jobs.page.js';
import { OverviewPage } from './overview.page.js';
import { SchedulesPage } from './schedules.page.js';
import { Sessions } from './sessions.js';
import { SignInPage } from './sign-in.page.js';
import { WorkersPage } from './workers.page.js';

/** The dashboard. To do without: `npm run remove -- dashboard`. */
@Module({
  imports: [BatchesModule, SchedulesModule, HttpModule, JobWatcherModule],
  controllers: [
    AssetsController,
    SignInPage,
    EventsController,
    OverviewPage,
    JobsPage,
    JobPage,
    DeadLettersPage,
    SchedulesPage,
    BatchesPage,
    WorkersPage,
    AuditPage,
  ],
  providers: [Access, Sessions, Board],
})
export class DashboardModule implements OnModuleInit {
  constructor(private readonly http: HttpAdapterHost) {}

  onModuleInit(): void {
    serveDashboard(this.http.httpAdapter.getInstance());
  }
}
