import { Module } from '@nestjs/common';
import { Database } from './database.js';
import { Presence } from './presence.js';
import { Records } from './records.js';
import { ConfigurableModuleClass } from './records.module-definition.js';
import { Views } from './views.js';

/** Connects an app to the job records: `RecordsModule.forRoot({ url, poolSize })`, or `forRootAsync`. */
@Module({ providers: [Database, Records, Views, Presence], exports: [Database, Records, Views, Presence] })
export class RecordsModule extends ConfigurableModuleClass {}
