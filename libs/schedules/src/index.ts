export {
  defineSchedule,
  type Missed,
  missedPolicies,
  type Overlap,
  overlapPolicies,
  type Schedule,
  type ScheduleDefinition,
} from './schedule.js';
export { ScheduleMetrics } from './schedule-metrics.js';
export { MAX_LISTED, nextTicks, ScheduleOfCodeError, Schedules, ScheduleView } from './schedules.js';
export { SchedulesModule } from './schedules.module.js';
