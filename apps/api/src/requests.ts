import { z } from 'zod';
import { type Duration, readBy, toMilliseconds } from '#config';
import { type JobRetry, MAX_DURATION, MAX_START_WITHIN, problemWithRetry } from '#define-job';
import { ProblemException, text } from '#http';
import { KEY_LENGTH, MAX_DELAY_DAYS, MAX_TAGS, TAG, TAG_LENGTH } from '#jobs';
import { jobStates, priorities, readWhere } from '#records';
import { Count, type Done, JobView, LogLine, Time } from '#resources';

/** What requests must look like, checked before anything is done. */

const Text = text(300);
const Name = text(100);
const Tag = text(TAG_LENGTH).regex(
  TAG,
  'must have only characters that can be printed, and no space at an end',
);

/** A time to wait or to take, which may be at most so long. */
const span = (most: Duration) =>
  z
    .union([z.number().describe('milliseconds'), z.string().meta({ examples: ['10m'] })], {
      error: 'expected milliseconds, or a duration such as "10m"',
    })
    .transform(readBy((value) => toMilliseconds(value as Duration | number)))
    .refine(
      (milliseconds) => milliseconds <= toMilliseconds(most),
      `must be at most ${most.slice(0, -1)} days`,
    );
export const Delay = span(`${MAX_DELAY_DAYS}d`);
const Timeout = span(MAX_DURATION).refine((milliseconds) => milliseconds > 0, 'must be 1 ms or more');
const StartWithin = span(MAX_START_WITHIN).refine((milliseconds) => milliseconds > 0, 'must be 1 ms or more');

const Growth = z.strictObject({
  attempts: z.int().describe('How often it is tried, the first time included'),
  first: z.string().meta({ description: 'Before the second attempt', examples: ['5s'] }),
  factor: z
    .number()
    .optional()
    .describe('Each delay is so many times as long as the one before; 2 when absent'),
  max: z.string().optional().describe('No delay is longer; `1d` when absent'),
  jitter: z
    .number()
    .optional()
    .describe('From 0 to 1: each delay is longer or shorter by a random part of this size'),
});
const Retry = z
  .union([z.array(z.string()).describe('Delays'), Growth], {
    error: 'expected a list of delays such as ["5s", "1m"], or { attempts, first }',
  })
  .superRefine((value, context) => {
    const message = problemWithRetry(value);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  })
  .transform((value) => value as JobRetry);

/** What a job may have in place of what its contract says. */
const ownOptions = {
  retry: Retry.optional().describe('When it is tried again, in place of what its contract says'),
  timeout: Timeout.optional().describe('How long an attempt may take, in place of what its contract says'),
  startWithin: StartWithin.optional().describe(
    'A job that could not start so soon after its time to run is dead',
  ),
};

export const Tags = z
  .array(Tag)
  .max(MAX_TAGS)
  .optional()
  .describe('What the job, and those that follow it, are found by');

/** When and where a job is to start, and how it is to be run. */
export const whenWhereAndHow = {
  delay: Delay.optional(),
  runAt: Time.optional(),
  queue: z.string().optional(),
  ...ownOptions,
  tags: Tags,
};
export const notBothTimes: Parameters<z.ZodType<{ delay?: number; runAt?: Date }>['refine']> = [
  ({ delay, runAt }) => delay === undefined || runAt === undefined,
  { error: 'delay and runAt exclude each other', path: ['runAt'] },
];

/** A job that follows; it is checked in its turn, see `nextJobOf`. */
export const Next = z.unknown().meta({ $ref: '#/components/schemas/NextJob' }).optional();

export const NextBody = z
  .strictObject({
    name: z.string().min(1),
    payload: z.unknown(),
    options: z
      .strictObject({
        delay: Delay.optional(),
        queue: z.string().optional(),
        tags: Tags,
        ...ownOptions,
        next: Next,
      })
      .optional(),
  })
  .meta({ id: 'NextJob' });

export const EnqueueBody = z.strictObject({
  name: z.string().min(1),
  payload: z.unknown(),
  options: z
    .strictObject({
      ...whenWhereAndHow,
      priority: z.enum(priorities).optional().describe('Where the queue has priorities'),
      unique: z.strictObject({ key: text(KEY_LENGTH).min(1), for: Delay.optional() }).optional(),
      debounce: z
        .strictObject({ key: text(KEY_LENGTH).min(1), delay: Delay, max: Delay.optional() })
        .optional()
        .describe('Until the job starts, another one with this key takes its place'),
      next: Next,
    })
    .refine(...notBothTimes)
    .meta({ id: 'EnqueueOptions' })
    .optional(),
});
export type EnqueueBody = z.output<typeof EnqueueBody>;

/** As many as a batch has. */
const MAX_BULK = 10_000;

export const BulkBody = z.strictObject({
  jobs: z.array(EnqueueBody).min(1).max(MAX_BULK, `holds more than ${MAX_BULK}: send several requests`),
});
export type BulkBody = z.output<typeof BulkBody>;

export const BulkAnswer = z.strictObject({
  items: z.array(z.strictObject({ id: z.uuid(), state: z.enum(jobStates) })),
});

/** The draft asks for a quoted string (RFC 8941); bare ones are common, and taken too. */
const IdempotencyKey = z
  .string()
  .transform((text) => /^"(.*)"$/.exec(text)?.[1] ?? text)
  .pipe(z.string().regex(/^[\x21-\x7e]{1,255}$/, 'must be 1 to 255 visible ASCII characters'))
  .optional();

/** Reads the header of that name. */
export function parseIdempotencyKey(header: string | undefined): string | undefined {
  const key = IdempotencyKey.safeParse(header);
  if (key.success) return key.data;
  throw new ProblemException(400, 'bad-idempotency-key', `Idempotency-Key ${key.error.issues[0]?.message}`);
}

export const oneTime: Parameters<z.ZodType<{ delay?: number; runAt?: Date }>['refine']> = [
  ({ delay, runAt }) => (delay === undefined) !== (runAt === undefined),
  { error: 'give either delay or runAt' },
];
export const RescheduleBody = z
  .strictObject({ delay: Delay.optional(), runAt: Time.optional() })
  .refine(...oneTime);
export type RescheduleBody = z.output<typeof RescheduleBody>;

const Cursor = z
  .string()
  .transform((text) => Buffer.from(text, 'base64url').toString())
  .pipe(z.uuid({ error: 'is not a valid cursor: use the `next` of the page before' }));

/** A JSON Pointer and a value. */
const WhereText = z
  .string()
  .meta({ examples: ['/customer/id:42'] })
  .transform(readBy(readWhere));

const notBothEdits: Parameters<z.ZodType<{ payload?: unknown; patch?: unknown }>['refine']> = [
  ({ payload, patch }) => payload === undefined || patch === undefined,
  { error: 'payload and patch exclude each other', path: ['patch'] },
];

export const deadLetters = {
  queue: Name.optional(),
  name: Name.optional(),
  error: Text.min(1).optional().describe("Part of the first 300 characters of the last error's message"),
  errorForm: Text.optional().describe('The whole of it, as the groups show it'),
  from: Time.optional().describe('Died then or later'),
  to: Time.optional().describe('Died before then'),
  tag: Tag.optional(),
  where: WhereText.optional().describe('Their payload has a value at a place'),
};
export const DeadLettersQuery = z.strictObject(deadLetters);
export type DeadLettersQuery = z.output<typeof DeadLettersQuery>;

export const DeadLettersBody = z.strictObject({
  ...deadLetters,
  ids: z.array(z.uuid()).max(10_000).optional(),
});
export type DeadLettersBody = z.output<typeof DeadLettersBody>;

export const PerSecond = z
  .int()
  .min(1)
  .max(100_000)
  .optional()
  .meta({ description: 'Jobs that come in each second; the others are scheduled', default: 1_000 });
export const Patch = z
  .unknown()
  .optional()
  .describe('A JSON Merge Patch (RFC 7396) for each payload, which has to fit its contract then');
const EditedPayload = z
  .unknown()
  .optional()
  .describe('In place of its own. What is `[redacted]` in it stays as it is');

export const ReplayBody = DeadLettersBody.extend({
  perSecond: PerSecond,
  payload: EditedPayload,
  patch: Patch,
})
  .refine(({ payload, ids }) => payload === undefined || ids?.length === 1, {
    ...{ error: 'is for one of `ids`; `patch` is for many', path: ['payload'] },
  })
  .refine(...notBothEdits);
export type ReplayBody = z.output<typeof ReplayBody>;

export const RerunBody = z
  .strictObject({ payload: EditedPayload, patch: Patch })
  .refine(...notBothEdits)
  .default({});
export type RerunBody = z.output<typeof RerunBody>;

export const ListQuery = z.strictObject({
  state: z.enum(jobStates).optional(),
  name: Name.optional(),
  queue: Name.optional(),
  batch: z.uuid().optional(),
  tag: Tag.optional(),
  where: WhereText.optional().describe(
    'Jobs whose payload has a value at a place; the newest are gone through',
  ),
  limit: z.coerce.number().int().min(1).max(1_000).default(50),
  cursor: Cursor.optional().describe('The `next` of the page before'),
});
export type ListQuery = z.output<typeof ListQuery>;

export const JobsPage = z.strictObject({
  items: z.array(JobView),
  next: z.string().nullable().describe('The `cursor` of the next page'),
  lookedBackTo: Time.nullable().describe(
    'With `where`: older jobs were not looked at yet; `next` goes on there. Null when all were',
  ),
});
export type JobsPage = z.output<typeof JobsPage>;

export const LogQuery = z.strictObject({
  attempt: z.coerce.number().int().min(1).max(1_000_000_000).optional().describe('Only its lines'),
});
export const LogAnswer = z.strictObject({ items: z.array(LogLine) });

/** As the command line has them, ids go on; a cursor is opaque. */
export const cursorOf = (id: string | null) => id && Buffer.from(id).toString('base64url');

/** The answer to what was done to many. */
export const shownDone = ({ count, leftOut }: Required<Done>): Done =>
  leftOut > 0 ? { count, leftOut } : { count };

const TagCount = z.strictObject({ tag: z.string(), count: Count });

export const TagsAnswer = z.strictObject({
  items: z.array(TagCount),
  lookedBackTo: Time.nullable().describe('Older jobs are not counted; null when all are'),
});
