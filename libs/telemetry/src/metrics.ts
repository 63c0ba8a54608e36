import { Counter, Gauge, Histogram, Registry } from 'prom-client';

/**
 * Every metric; docs/metrics.md says what to do about each. Labels have few values, which the code knows, and `other` for the
 * rest: never an id, a key or the text of an error.
 */

/** Counters and timings of this process. */
export const registry = new Registry();

/** From a quick statement to an hour of work. */
const JOB_SECONDS = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600];
const HTTP_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

const registers = [registry];
const counter = <L extends string>(name: string, help: string, ...labelNames: L[]) =>
  new Counter({ name, help, labelNames, registers });
const timings = <L extends string>(name: string, help: string, buckets: number[], ...labelNames: L[]) =>
  new Histogram({ name, help, labelNames, buckets, registers });
/** Set on scrape by `lookUp`. */
const gauge = <L extends string>(name: string, help: string, ...labelNames: L[]) =>
  new Gauge({ name, help, labelNames, registers: [] });

export const jobsEnqueued = counter('jobs_enqueued_total', 'Jobs that this process accepted.', 'name');
export const jobsCompleted = counter(
  'jobs_completed_total',
  'Jobs whose last attempt ended here, by the state that they ended in.',
  'name',
  'outcome',
);
export const jobAttempts = counter(
  'job_attempts_total',
  'Attempts that ended here, by how.',
  'name',
  'outcome',
);
export const jobDuration = timings('job_duration_seconds', 'How long attempts ran.', JOB_SECONDS, 'name');
export const jobQueueWait = timings(
  'job_queue_wait_seconds',
  'How long attempts waited for a worker since they could have started.',
  JOB_SECONDS,
  'queue',
);
export const jobsInFlight = new Gauge({
  name: 'jobs_in_flight',
  help: 'Attempts that run in this process.',
  labelNames: ['name'],
  registers,
});
export const jobsRescued = counter(
  'jobs_rescued_total',
  'Jobs that started again here after they were lost with their worker.',
  'name',
);
export const publishFailures = counter(
  'outbox_publish_failures_total',
  'Messages that the broker did not take, and that were left to the relay.',
);
export const httpRequests = timings(
  'http_request_duration_seconds',
  'How long requests took, by the template of their route and the class of their status.',
  HTTP_SECONDS,
  'method',
  'route',
  'status',
);

export const brokerUp = gauge('broker_connection_up', 'Whether this process can publish.');
export const brokerBlocked = gauge(
  'broker_connection_blocked',
  'Whether the broker, short of memory or disk, has blocked the publishing of this process.',
);
export const queueJobs = gauge('queue_jobs', 'Jobs in the records.', 'queue', 'state');
export const oldestReadyAge = gauge(
  'job_oldest_ready_age_seconds',
  'For how long the oldest job that is ready has waited for a worker; 0 when none waits.',
  'queue',
);
export const queuePaused = gauge('queue_paused', 'Whether someone has paused the queue.', 'queue');
export const queueConsumers = gauge('queue_consumers', 'Workers that take jobs of the queue.', 'queue');
export const deadLetters = gauge('dlq_messages', 'Dead letters: jobs and unprocessable messages.', 'queue');
export const outboxPending = gauge(
  'outbox_pending',
  'Messages that are due and that the broker does not have.',
);
export const outboxOldestAge = gauge(
  'outbox_oldest_age_seconds',
  'For how long the oldest of them has been due; 0 when none is.',
);
export const scheduleLastSuccess = gauge(
  'schedule_last_success_timestamp_seconds',
  'When a job of an active schedule last succeeded.',
  'schedule',
);
export const schedulePeriod = gauge(
  'schedule_period_seconds',
  'Time between the next two ticks of an active schedule.',
  'schedule',
);
