import { Module, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { JobWatcher } from '../job-watcher.js';
import { Access } from './access.js';
import { AssetsController } from './assets.controller.js';
import { Board } from './board.js';
import { EventsController } from './events.controller.js';
import { serveDashboard } from './http.js';
import { JobPage } from './job.page.js';
import { JobsPage } from './jobs.page.js';
import { OverviewPage } from './overview.page.js';
import { Sessions } from './sessions.js';
import { SignInPage } from './sign-in.page.js';

/** The dashboard. Whoever wants none deletes this folder and the line that imports it. */
@Module({
  controllers: [AssetsController, SignInPage, EventsController, OverviewPage, JobsPage, JobPage],
  providers: [Access, Sessions, Board, JobWatcher],
})
export class DashboardModule implements OnModuleInit {
  constructor(private readonly http: HttpAdapterHost) {}

  onModuleInit(): void {
    serveDashboard(this.http.httpAdapter.getInstance());
  }
}
