import { Module, type Type } from '@nestjs/common';
import { BatchesModule } from '#batches';
import * as contracts from '#contracts';
import * as schedules from '#contracts/schedules';
import { IsolationModule } from '#isolation';
import { LimitsModule } from '#limits';
import { NotificationsModule } from '#notifications';
import { WorkerRoleModule } from '#roles';
import { SchedulesModule } from '#schedules';
import { FileStore } from './file-store.js';
import * as handlers from './handlers/index.js';
import { Mailer } from './mailer.js';
import { OutboundHttp } from './outbound-http.js';

/** Does the work. */
@Module({
  imports: [
    WorkerRoleModule.forRoot({
      contracts,
      parts: [
        // One a line, for `npm run remove` to take out.
        SchedulesModule.forRoot({ schedules }),
        BatchesModule.forWorker(),
        LimitsModule,
        NotificationsModule.forWorker(),
        IsolationModule.forRoot({ entry: new URL('./isolated/isolated.js', import.meta.url) }),
      ],
    }),
  ],
  // In brackets, for `nest generate controller` to add to.
  controllers: [...Object.values<Type>(handlers)],
  providers: [
    // One a line, for `npm run remove` to take out.
    FileStore,
    Mailer,
    OutboundHttp,
  ],
})
export class WorkerModule {}
