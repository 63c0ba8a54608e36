import { Module } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { Settings, SettingsModule } from '#config';
import { isIsolated, JobErrorFilter } from '#jobs';
import { RecordsModule } from '#records';
import { FileStore } from '../file-store.js';
import * as handlers from '../handlers/index.js';
import { OutboundHttp } from '../outbound-http.js';

/** Connections to the database that one thread may open; it runs one job at a time. */
const POOL_SIZE = 2;

/** The handlers with `isolated: true` and what they inject, for a thread; the rest of the worker stays outside. */
@Module({
  imports: [
    SettingsModule.forRoot(),
    RecordsModule.forRootAsync({
      inject: [Settings],
      useFactory: (settings: Settings) => ({ url: settings.DATABASE_URL, poolSize: POOL_SIZE }),
    }),
  ],
  controllers: [...Object.values(handlers).filter(isIsolated)],
  providers: [{ provide: APP_FILTER, useClass: JobErrorFilter }, FileStore, OutboundHttp],
})
export class IsolatedModule {}
