import { defineSchedule } from '#schedules';
import { SampleNightly } from './contracts.js';

/** At a time at which no tests run, most probably: some of them say when. */
export const sampleNightly = defineSchedule({
  name: 'sample.nightly',
  cron: '0 0 29 2 *',
  job: SampleNightly,
  payload: {},
  overlap: 'skip',
});
