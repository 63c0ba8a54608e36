import { Injectable } from '@nestjs/common';
import { RecordsDatabase } from '#records';
import { lookUp, metrics, type Sample } from '#telemetry';
import { Schedules } from './schedules.js';
import * as sql from './statements.js';

/** Metrics of the active schedules of the code (those made at run time may be very many), the same whichever app is asked: one app provides it, the api. */
@Injectable()
export class ScheduleMetrics {
  constructor(
    private readonly schedules: Schedules,
    private readonly database: RecordsDatabase,
  ) {
    lookUp([metrics.scheduleLastSuccess, metrics.schedulePeriod], () => this.read());
  }

  private async read(): Promise<Sample[]> {
    const [schedules, { rows }] = await Promise.all([
      this.schedules.list({ isOfCode: true }),
      this.database.query<{ name: string; at: Date }>(sql.lastSuccesses),
    ]);
    const active = schedules.filter(({ state }) => state === 'active');
    return active.flatMap(({ name, next: [first, second] }): Sample[] => {
      const at = rows.find((row) => row.name === name)?.at;
      const period = first && second && second.getTime() - first.getTime();
      return [
        ...(at ? [[metrics.scheduleLastSuccess, at.getTime() / 1_000, { schedule: name }] as const] : []),
        ...(period ? [[metrics.schedulePeriod, period / 1_000, { schedule: name }] as const] : []),
      ];
    });
  }
}
