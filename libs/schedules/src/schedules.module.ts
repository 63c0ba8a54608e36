import { type DynamicModule, Module } from '@nestjs/common';
import type { Schedule } from './schedule.js';
import { SCHEDULES, Scheduler } from './scheduler.js';
import { Schedules } from './schedules.js';

/** Recurring jobs. A worker imports `SchedulesModule.forRoot({ schedules })` and fires them; other apps `SchedulesModule`. */
@Module({ providers: [Schedules], exports: [Schedules] })
export class SchedulesModule {
  /** @param options.schedules a module's exports (`import * as schedules from '#contracts/schedules'`) or a list. */
  static forRoot({
    schedules,
  }: {
    schedules: Record<string, Schedule> | readonly Schedule[];
  }): DynamicModule {
    return {
      module: SchedulesModule,
      providers: [{ provide: SCHEDULES, useValue: Object.values(schedules) }, Scheduler],
    };
  }
}
