import { Module } from '@nestjs/common';
import { Database } from './database.js';
import { Presence } from './presence.js';
import { Records } from './records.js';
import { ConfigurableModuleClass } from './records.module-definition.js';
import { Retention } from './retention.js';
import { Views } from './views.js';

/** Connects an app to the job records: `RecordsModule.forRoot({ url, poolSize })`, or `forRootAsync`. */
@Module({
  providers: [Database, Records, Views, Presence, Retention],
  exports: [Database, Records, Views, Presence, Retention],
})
export class RecordsModule extends ConfigurableModuleClass {}
