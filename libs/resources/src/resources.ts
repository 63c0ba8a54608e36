import { z } from 'zod';
import { jobStates, priorities } from '#define-job';

/** What is told of jobs, queues and workers: of each schema come its type, the OpenAPI document and the tests' checks. */

/** A point in time: a `Date` here, RFC 3339 on the wire. */
export const Time = z.codec(z.iso.datetime({ offset: true }), z.date(), {
  decode: (text) => new Date(text),
  encode: (date) => date.toISOString(),
});

export const Count = z.int().min(0);

/** Names a job or a batch. */
export const Id = z.uuid();

const Cause = z.strictObject({
  message: z.string(),
  class: z.string(),
  code: z
    .string()
    .optional()
    .meta({
      description: 'What libraries and the system name it by',
      examples: ['ECONNREFUSED'],
    }),
});

export const JobError = Cause.extend({
  stack: z.string().nullable(),
  causes: z
    .array(Cause)
    .optional()
    .describe('What caused it, and the errors of an aggregate; the last one lies deepest'),
  onDead: z.string().optional().describe('Why `onDead` has enqueued nothing for the death by it'),
}).meta({ id: 'JobError' });
export type JobError = z.output<typeof JobError>;

/** What an isolated attempt used. */
export const Used = z.strictObject({
  cpuMs: z.number().nullable().describe('CPU time of its thread; null where the system does not tell'),
  heapBytes: Count.describe('The most of its heap that was seen in use'),
});
export type Used = z.output<typeof Used>;

export const AttemptView = z
  .strictObject({
    attempt: Count,
    outcome: z.enum(['running', 'succeeded', 'failed', 'crashed', 'cancelled']),
    worker: z.string().nullable(),
    startedAt: z.iso.datetime({ offset: true }).nullable(),
    finishedAt: z.iso.datetime({ offset: true }).nullable(),
    error: JobError.nullable(),
    used: Used.optional().describe('Of an isolated attempt, unless it was killed'),
  })
  .meta({ id: 'Attempt' });
export type AttemptView = z.output<typeof AttemptView>;

/** One line of what handlers logged of a job. */
export const LogLine = z
  .strictObject({
    at: Time,
    attempt: Count,
    level: z.enum(['info', 'warn', 'error', 'fatal']),
    message: z.string(),
    fields: z.record(z.string(), z.unknown()),
  })
  .meta({ id: 'LogLine' });
export type LogLine = z.output<typeof LogLine>;

/** The message and, as JSON, the fields of a line. */
export const lineText = ({ message, fields }: LogLine): string =>
  Object.keys(fields).length > 0 ? `${message} ${JSON.stringify(fields)}` : message;

/** What a job follows. */
export const Previous = z.strictObject({
  id: Id.describe('Of a job, or of a batch'),
  name: z.string(),
  result: z.unknown().describe('What the job returned, or how many jobs of the batch ended in which state'),
  version: z.int().optional().describe('Of the contract that the job ran by; absent of a batch'),
});
export type Previous = z.output<typeof Previous>;

/** What a job that has not started, or is to be tried again, waits for. */
export const WaitingFor = z
  .strictObject({
    what: z.enum(['time', 'retry', 'limit', 'pause', 'worker']),
    detail: z.string().describe('For people: until when, which limit, which queue'),
  })
  .meta({ id: 'WaitingFor' });
export type WaitingFor = z.output<typeof WaitingFor>;

export const JobView = z
  .strictObject({
    id: Id,
    name: z.string(),
    queue: z.string(),
    priority: z.enum(priorities),
    version: z.int().describe('Of its contract when it was enqueued, which its payload fits'),
    state: z.enum(jobStates),
    waitingFor: WaitingFor.nullable().describe('Why it does not run; null when it runs or has ended'),
    progress: z.number().min(0).max(1).nullable(),
    progressNote: z.string().nullable(),
    attempt: Count.describe('The newest attempt; 0 before the first'),
    maxAttempts: Count,
    payload: z.unknown().describe('As it was enqueued'),
    upgradedPayload: z
      .unknown()
      .optional()
      .describe('As the contract takes it now, if that is of a newer version and its upgrade fits'),
    originalPayload: z
      .unknown()
      .optional()
      .describe('What it was enqueued with, if it was replayed with an edited payload'),
    result: z.unknown(),
    error: JobError.nullable().describe('What the newest failed attempt died of, unless the job succeeded'),
    attempts: z.array(AttemptView),
    createdAt: Time,
    runAt: Time,
    startedAt: Time.nullable(),
    finishedAt: Time.nullable(),
    cancelRequestedAt: Time.nullable().describe('A running job goes on until its handler has noticed'),
    batch: Id.nullable().describe('The batch that it was enqueued with'),
    previous: Previous.nullable().describe('What it follows, with its result'),
    next: Id.nullable().describe('The job that follows when this one succeeds, and exists from then on'),
    tags: z.array(z.string()).describe('What it is found by'),
    rerunOf: Id.nullable().describe('The ended job that it was enqueued from again'),
    traceId: z.string().nullable().describe('The trace that it was enqueued in'),
  })
  .meta({ id: 'Job' });
export type JobView = z.output<typeof JobView>;

/** A message that was no job when it was received, without its secrets. */
export const MessageView = z
  .strictObject({
    properties: z.record(z.string(), z.unknown()),
    headers: z.record(z.string(), z.unknown()),
    size: Count.describe('Bytes of the whole body'),
    body: z.string().describe('The first 4 KiB'),
    encoding: z.enum(['utf8', 'hex']),
  })
  .meta({
    id: 'Message',
    description: 'What was received, of a message that no job could be made of; secrets are redacted',
  });
export type MessageView = z.output<typeof MessageView>;

/** Dead letters of one contract in one queue that died of the same. It is a filter for them, too. */
export const DeadGroup = z
  .strictObject({
    queue: z.string(),
    name: z.string(),
    errorForm: z
      .string()
      .describe('The message and its deepest cause, cut, with `#` for each number and UUID in it'),
    count: Count,
    oldest: Time,
    newest: Time,
    example: Id.describe('The newest of them'),
  })
  .meta({ id: 'DeadGroup' });
export type DeadGroup = z.output<typeof DeadGroup>;

export const Done = z.strictObject({
  count: Count,
  leftOut: Count.optional().describe('Those whose unique key another job holds, if any: they stay dead'),
});
export type Done = z.output<typeof Done>;

/** One queue, as the records show it. */
export const QueueView = z.strictObject({
  queue: z.string(),
  scheduled: Count,
  queued: Count,
  running: Count,
  retrying: Count,
  dead: Count,
  oldestWaiting: Time.nullable().describe(
    'Since when the job that has been ready for the longest waits for a worker',
  ),
  paused: z.boolean(),
});
export type QueueView = z.output<typeof QueueView>;

/** The same, with what workers and broker say of it. */
export const Queue = QueueView.extend({
  ready: Count.describe('The same as `queued`'),
  consumers: Count.nullable().describe(
    'Workers that take its jobs, as the broker counts them; null when no broker answers',
  ),
  advice: z
    .string()
    .nullable()
    .describe(
      'What to do about it: nobody takes its jobs, or no contract has it any more; null when all is well',
    ),
}).meta({ id: 'Queue' });
export type Queue = z.output<typeof Queue>;

/** What an operator wants of a worker. A quiet one takes no more jobs, and goes on being alive. */
export const workerStates = ['working', 'quiet', 'stopping'] as const;
export type WorkerState = (typeof workerStates)[number];

export const WorkerView = z
  .strictObject({
    id: Count,
    name: z.string().describe('Host and process id'),
    state: z.enum(workerStates).describe('What an operator wants of it; it does so within a second'),
    startedAt: Time,
    lastSeen: Time.describe('When it reported last; what it runs is as of now'),
    queues: z.array(z.string()).readonly().describe('Whose jobs it takes; none while it is quiet or stops'),
    eventLoopLagMs: z.number().describe('How long its event loop was held up at most, in the last 5 s'),
    rssBytes: Count,
    running: Count,
    jobs: z
      .array(
        z.strictObject({
          id: Id,
          name: z.string(),
          queue: z.string(),
          attempt: Count,
          startedAt: Time,
        }),
      )
      .max(100)
      .describe('Those that run for the longest'),
  })
  .meta({ id: 'Worker' });
export type WorkerView = z.output<typeof WorkerView>;
