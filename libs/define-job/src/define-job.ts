import { z } from 'zod';
import { type Duration, toMilliseconds } from './duration.js';
import { ContractError } from './errors.js';
import { misfitOf } from './fits-json.js';

/** What producer and worker share about one kind of job. Made by {@link defineJob}. */
export interface Contract<
  Name extends string = string,
  Payload extends z.ZodType = z.ZodType,
  Result extends z.ZodType = z.ZodType,
> {
  /** What the job is called everywhere: `email.send`. */
  readonly name: Name;
  /** The queue that its jobs wait in; contracts may share one. */
  readonly queue: string;
  readonly payload: Payload;
  readonly result: Result;
  /** How long to wait before the second attempt, the third, and so on; after the last the job is a dead letter. */
  readonly retry: readonly Duration[];
  /** How long one attempt may take. */
  readonly timeout: Duration;
  /** Gives the whole queue priorities: jobs of high priority overtake, those of low one wait, and none starves. */
  readonly priorities: boolean;
}

// biome-ignore lint/suspicious/noExplicitAny: stands for any contract, whatever its schemas
export type AnyContract = Contract<string, any, any>;
/** What a producer hands over: the payload before the schema's defaults and transformations. */
export type PayloadInput<C extends AnyContract> = z.input<C['payload']>;
/** What a handler gets: the payload after the schema's defaults and transformations. */
export type PayloadOf<C extends AnyContract> = z.output<C['payload']>;
/** What a handler returns. */
export type ResultOf<C extends AnyContract> = z.input<C['result']>;

/** Names are parts of routing keys, metrics and URLs. The length leaves room for prefixes within AMQP's 255 bytes. */
const NAME = /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/;
const NAME_LENGTH = 100;
/** The longest that a timer of Node can wait, 24.8 days: a longer one fires at once. RabbitMQ's TTLs go to twice that. */
const MAX_DURATION_MS = 2 ** 31 - 1;

/**
 * Defines a kind of job.
 *
 * ```ts
 * export const SendEmail = defineJob({
 *   name: 'email.send',
 *   queue: 'email',
 *   payload: z.object({ to: z.email(), subject: z.string().max(200), text: z.string() }),
 *   result: z.object({ messageId: z.string() }),
 *   retry: ['5s', '30s', '2m', '10m'],
 *   timeout: '30s',
 * });
 * ```
 *
 * Without `result` a handler may return anything that JSON can hold; without `retry` a job is tried five times, after
 * 5 s, 30 s, 2 min and 10 min; without `timeout` an attempt may take 30 s.
 *
 * Payloads and results go through JSON before they are checked, so their schemas are of what JSON can hold.
 *
 * @throws ContractError when name, queue, a schema or a duration cannot be used; the message says which and why.
 */
export function defineJob<
  const Name extends string,
  Payload extends z.ZodType,
  Result extends z.ZodType = z.ZodUnknown,
>(definition: {
  name: Name;
  queue: string;
  payload: Payload;
  result?: Result;
  retry?: readonly Duration[];
  timeout?: Duration;
  priorities?: boolean;
}): Contract<Name, Payload, Result> {
  const { name, queue, payload } = definition;
  const {
    result = z.unknown() as unknown as Result,
    retry = ['5s', '30s', '2m', '10m'],
    timeout = '30s',
    priorities = false,
  } = definition;
  const fail = (problem: string) => {
    throw new ContractError(`defineJob(${JSON.stringify(name)}): ${problem}`);
  };
  const usable = (value: unknown) =>
    typeof value === 'string' && value.length <= NAME_LENGTH && NAME.test(value);

  if (!usable(name))
    fail(`name must be at most ${NAME_LENGTH} of a-z 0-9 _ - in parts joined by dots, such as "email.send"`);
  if (/^queue(-high|-low)?\./.test(name))
    fail('names that start with "queue.", "queue-high." or "queue-low." are kept for routing to a queue');
  if (!queue) fail('queue is missing: name the queue that its jobs wait in, such as "email"');
  if (!usable(queue) || /^jobs\.|\.dead$/.test(queue)) {
    fail(
      `queue ${JSON.stringify(queue)} must be a name like those of jobs, not start with "jobs." and not end in ".dead"`,
    );
  }
  if (!payload?._zod) fail('payload is missing: give the zod schema that payloads must fit');
  for (const [part, schema] of Object.entries({ payload, result })) {
    const misfit = misfitOf(schema);
    if (misfit) fail(`/${part}${misfit}`);
  }
  for (const [what, value] of [
    ...retry.map((delay) => ['retry', delay] as const),
    ['timeout', timeout] as const,
  ]) {
    try {
      const milliseconds = toMilliseconds(value);
      if (milliseconds < 1 || milliseconds > MAX_DURATION_MS)
        fail(`${what} must be 1ms to 24d, not ${value}`);
    } catch (error) {
      fail(`${what}: ${(error as Error).message}`);
    }
  }
  return Object.freeze({ name, queue, payload, result, retry, timeout, priorities });
}
