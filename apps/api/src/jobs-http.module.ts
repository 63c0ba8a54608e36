import { Module } from '@nestjs/common';
import { HttpModule } from '#http';
import { DeadLettersController } from './dead-letters.controller.js';
import { JobEventsController } from './job-events.controller.js';
import { JobsController } from './jobs.controller.js';
import { ManyJobsController } from './many-jobs.controller.js';
import { OpenApiController } from './openapi.controller.js';
import { QueuesController } from './queues.controller.js';
import { StartupCheck } from './startup-check.js';
import { TagsController } from './tags.controller.js';
import { WorkersController } from './workers.controller.js';

/** Jobs, dead letters, queues and workers over HTTP. */
@Module({
  imports: [HttpModule],
  controllers: [
    JobsController,
    ManyJobsController,
    JobEventsController,
    DeadLettersController,
    QueuesController,
    TagsController,
    WorkersController,
    OpenApiController,
  ],
  providers: [StartupCheck],
})
export class JobsHttpModule {}
