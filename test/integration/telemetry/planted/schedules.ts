import { defineSchedule } from '#schedules';
import { Leak } from './contracts.js';

export const never = defineSchedule({
  name: 'leak.never',
  cron: '0 0 29 2 *',
  job: Leak,
  payload: { how: 'return', card: 'card-canary-schedule' },
});
