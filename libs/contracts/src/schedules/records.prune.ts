import { defineSchedule } from '#schedules';
import { PruneRecords } from '../records.prune.js';

/** At night, when few people wait for jobs. */
export const pruneRecords = defineSchedule({
  name: 'records.prune',
  cron: '15 3 * * *',
  job: PruneRecords,
  payload: {},
  overlap: 'skip',
});
