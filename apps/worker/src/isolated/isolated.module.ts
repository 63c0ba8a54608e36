import { Module } from '@nestjs/common';
import { loadSettings, SettingsModule } from '#config';
import { isIsolated } from '#jobs';
import { RecordsModule } from '#records';
import { FileStore } from '../file-store.js';
import * as handlers from '../handlers/index.js';
import { OutboundHttp } from '../outbound-http.js';

/** Connections to the database that one thread may open; it runs one job at a time. */
const POOL_SIZE = 2;

/** The handlers with `isolated: true` and what they inject, for a thread; the rest of the worker stays outside. */
@Module({
  imports: [SettingsModule.forRoot(() => ({ ...loadSettings(), DATABASE_POOL: POOL_SIZE })), RecordsModule],
  controllers: [...Object.values(handlers).filter(isIsolated)],
  providers: [
    // One a line, for `npm run remove` to take out.
    FileStore,
    OutboundHttp,
  ],
})
export class IsolatedModule {}
