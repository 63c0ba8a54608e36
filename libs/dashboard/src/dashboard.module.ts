import { Module, type NestModule } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { BatchesModule } from '#batches';
import { HttpModule } from '#http';
import { SchedulesModule } from '#schedules';
import { Access } from './access.js';
import { AssetsController } from './assets.controller.js';
import { Board } from './board.js';
import { EventsController } from './events.controller.js';
import { serveDashboard } from './http.js';
import { OpenId } from './openid.js';
import { AuditPage } from './pages/audit.page.js';
import { BatchesPage } from './pages/batches.page.js';
import { DeadLettersPage } from './pages/dead-letters.page.js';
import { EditPage } from './pages/edit.page.js';
import { EnqueuePage } from './pages/enqueue.page.js';
import { JobPage } from './pages/job.page.js';
import { JobsPage } from './pages/jobs.page.js';
import { ManyJobsPage } from './pages/many-jobs.page.js';
import { OpenIdPage } from './pages/openid.page.js';
import { OverviewPage } from './pages/overview.page.js';
import { SchedulePage } from './pages/schedule.page.js';
import { SchedulesPage } from './pages/schedules.page.js';
import { SignInPage } from './pages/sign-in.page.js';
import { WorkersPage } from './pages/workers.page.js';
import { Sessions } from './sessions.js';

/** The dashboard. To do without: `npm run remove -- dashboard`. */
@Module({
  imports: [BatchesModule, SchedulesModule, HttpModule],
  controllers: [
    AssetsController,
    SignInPage,
    OpenIdPage,
    EventsController,
    OverviewPage,
    JobsPage,
    ManyJobsPage,
    JobPage,
    EditPage,
    EnqueuePage,
    DeadLettersPage,
    SchedulesPage,
    SchedulePage,
    BatchesPage,
    WorkersPage,
    AuditPage,
  ],
  providers: [Access, Sessions, OpenId, Board],
})
export class DashboardModule implements NestModule {
  constructor(private readonly http: HttpAdapterHost) {}

  /** Before Nest makes routes. */
  configure(): void {
    serveDashboard(this.http.httpAdapter.getInstance());
  }
}
