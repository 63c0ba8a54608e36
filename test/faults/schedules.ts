import { defineSchedule } from '#schedules';
import { TickLedger } from './contracts.js';

/** Fires each second where `FAULTS_TICKS` is set, and elsewhere at no time at which the suite runs, most probably. */
export const ticks = defineSchedule({
  name: 'ledger.tick',
  cron: process.env.FAULTS_TICKS ? '* * * * * *' : '0 0 29 2 *',
  job: TickLedger,
  payload: { n: 0 },
});
