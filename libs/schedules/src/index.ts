export { defineSchedule, type Missed, type Overlap, type Schedule } from './schedule.js';
export { ScheduleMetrics } from './schedule-metrics.js';
export { Schedules, ScheduleView } from './schedules.js';
export { SchedulesModule } from './schedules.module.js';
