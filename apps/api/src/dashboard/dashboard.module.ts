import { Module, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { Access } from './access.js';
import { AssetsController } from './assets.controller.js';
import { serveDashboard } from './http.js';
import { JobPage } from './job.page.js';
import { JobsPage } from './jobs.page.js';
import { Sessions } from './sessions.js';
import { SignInPage } from './sign-in.page.js';

/** The dashboard. Whoever wants none deletes this folder and the line that imports it. */
@Module({
  controllers: [AssetsController, SignInPage, JobsPage, JobPage],
  providers: [Access, Sessions],
})
export class DashboardModule implements OnModuleInit {
  constructor(private readonly http: HttpAdapterHost) {}

  onModuleInit(): void {
    serveDashboard(this.http.httpAdapter.getInstance());
  }
}
