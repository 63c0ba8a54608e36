import { Module } from '@nestjs/common';
import * as contracts from '#contracts';
import { IsolatedJobsModule } from '#isolation';
import { isIsolated } from '#jobs';
import { FileStore } from '../file-store.js';
import * as handlers from '../handlers/index.js';
import { OutboundHttp } from '../outbound-http.js';

/** The handlers with `isolated: true` and what they inject, for a thread; the rest of the worker stays outside. */
@Module({
  imports: [IsolatedJobsModule.forRoot({ contracts })],
  controllers: [...Object.values(handlers).filter(isIsolated)],
  providers: [
    // One a line, for `npm run remove` to take out.
    FileStore,
    OutboundHttp,
  ],
})
export class IsolatedModule {}
