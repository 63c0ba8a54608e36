/** The states of a job. The last four are final, but for `dead`, which a replay sends back to `queued`. */
export const jobStates = [
  'scheduled',
  'queued',
  'running',
  'retrying',
  'succeeded',
  'dead',
  'cancelled',
  'discarded',
] as const;
export type JobState = (typeof jobStates)[number];

/** The states that a job ends in and is not kept in for ever. */
export const agedStates = ['succeeded', 'cancelled', 'discarded'] as const;
export type AgedState = (typeof agedStates)[number];

/** Which jobs of a queue go first, where its contracts have priorities. */
export const priorities = ['high', 'normal', 'low'] as const;
export type Priority = (typeof priorities)[number];
/** Whether a job in this state has come to its end. A replay can still send a dead one back to work. */
export const hasEnded = (state: JobState): boolean =>
  jobStates.indexOf(state) >= jobStates.indexOf('succeeded');
