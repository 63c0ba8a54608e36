import { z } from 'zod';
import { type Duration, MAX_START_WITHIN, problemWithDuration } from './duration.js';
import { ContractError } from './errors.js';
import { misfitOf } from './fits-json.js';
import { type Ages, agesOf, type Keep, problemWithKeep } from './keep.js';
import type { OnDead } from './on-dead.js';
import { problemWithRetry, type Retry, type RetryPolicy, retryPolicy } from './retry.js';
import { FIRST_VERSION, problemWithVersions, type Steps, type TypedSteps } from './versions.js';

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
  /** Queues that its jobs waited in before, oldest first: who serves its queue serves them, too, where no contract has them. */
  readonly movedFrom: readonly string[];
  readonly payload: Payload;
  readonly result: Result;
  /** When a failed job is tried again; after the last attempt it is a dead letter. */
  readonly retry: RetryPolicy;
  /** How long one attempt may take. */
  readonly timeout: Duration;
  /** How long after its time to run a job may start: one that could not is a dead letter. */
  readonly startWithin: Duration | undefined;
  /** Names the job that is enqueued, once, when a job is dead. */
  readonly onDead: OnDead | undefined;
  /** Gives the whole queue priorities: jobs of high priority overtake, those of low one wait, and none starves. */
  readonly priorities: boolean;
  /** How long its jobs are kept after their end, by the state that they ended in; otherwise as `JOB_RETENTION` says. */
  readonly keep: Readonly<Ages>;
  /** Of its payloads and results. Jobs keep the version that they were enqueued with. */
  readonly version: number;
  /** Makes payloads of earlier versions fit, step by step. */
  readonly upgrade: Steps;
  /** The same for results that jobs are handed on; as they are when absent. */
  readonly upgradeResult: Steps | undefined;
  /** The names that the contract had before, oldest first: it serves their jobs, too. */
  readonly renamedFrom: readonly string[];
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
const RESERVED = /^queue(-high|-low)?\./;

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
 * 5 s, 30 s, 2 min and 10 min; without `timeout` an attempt may take 30 s; without `version` it is 1. `retry` may also be
 * `exponential({ attempts, first })`, or `{ attempts, delay: (attempt, error) => … }`.
 *
 * A change that old payloads do not fit is a new version, with a step from the one before:
 *
 * ```ts
 * version: 3,
 * upgrade: {
 *   1: ({ title, ...old }: { title: string; text: string }) => ({ ...old, subject: title }),
 *   2: (old) => ({ ...old, to: 'nobody@example.com' }),
 * },
 * ```
 *
 * Payloads and results go through JSON before they are checked, so their schemas are of what JSON can hold.
 *
 * @throws ContractError when name, queue, a schema, a duration or a version cannot be used, or a step of `upgrade` is
 * missing; the message says which and why.
 */
export function defineJob<
  const Name extends string,
  Payload extends z.ZodType,
  Result extends z.ZodType = z.ZodUnknown,
  const Version extends number = 1,
  // What the steps give; TypeScript finds it out.
  A = never,
  B = never,
  C = never,
  D = never,
  E = never,
  F = never,
  G = never,
  H = never,
>(definition: {
  name: Name;
  queue: string;
  movedFrom?: string | readonly string[];
  payload: Payload;
  result?: Result;
  retry?: Retry;
  timeout?: Duration;
  startWithin?: Duration;
  onDead?: OnDead;
  priorities?: boolean;
  keep?: Keep;
  version?: Version;
  upgrade?: TypedSteps<Version, z.input<Payload>, A, B, C, D>;
  upgradeResult?: TypedSteps<Version, z.input<Result>, E, F, G, H>;
  renamedFrom?: string | readonly string[];
}): Contract<Name, Payload, Result> {
  const {
    result = z.unknown() as unknown as Result,
    retry = ['5s', '30s', '2m', '10m'],
    timeout = '30s',
    priorities = false,
    version = FIRST_VERSION,
    renamedFrom = [],
    movedFrom = [],
    keep = {},
  } = definition;
  const { name, queue, payload, startWithin, onDead, upgrade, upgradeResult } = definition;
  const contract = Object.freeze({
    ...{ name, queue, payload, result, retry: retryPolicy(retry), timeout, startWithin, priorities, version },
    ...{ keep: agesOf(keep), onDead },
    upgrade: { ...upgrade } as Steps,
    upgradeResult: upgradeResult && ({ ...upgradeResult } as Steps),
    renamedFrom: [renamedFrom].flat(),
    movedFrom: [movedFrom].flat(),
  });
  const problem =
    problemWithNames(contract) ??
    problemWithSchemas(contract) ??
    problemWithRetry(retry) ??
    problemWithDuration('timeout', timeout) ??
    (startWithin === undefined
      ? undefined
      : problemWithDuration('startWithin', startWithin, MAX_START_WITHIN)) ??
    problemWithKeep(keep) ??
    problemWithVersions(contract) ??
    (onDead === undefined || typeof onDead === 'function' ? undefined : 'onDead must be a function');
  if (problem) throw new ContractError(`defineJob(${JSON.stringify(name)}): ${problem}`);
  return contract;
}

/** All names that jobs of a contract may have: its own, and those that it had before. */
export const namesOf = ({ name, renamedFrom }: AnyContract): string[] => [...renamedFrom, name];

/** The name that a contract had first, by which code from before a rename knows it, too. */
export const firstNameOf = ({ name, renamedFrom }: AnyContract): string => renamedFrom[0] ?? name;

/** Whether a contract may have this name. */
export const isJobName = (name: unknown): name is string => isUsable(name) && !RESERVED.test(name);

const isUsable = (value: unknown): value is string =>
  typeof value === 'string' && value.length <= NAME_LENGTH && NAME.test(value);

function problemWithNames({ name, queue, renamedFrom, movedFrom }: AnyContract): string | undefined {
  for (const [what, value] of [
    ['name', name],
    ...renamedFrom.map((value) => ['renamedFrom', value] as const),
  ]) {
    if (!isUsable(value))
      return `${what} must be at most ${NAME_LENGTH} of a-z 0-9 _ - in parts joined by dots, such as "email.send"`;
    if (!isJobName(value))
      return 'names that start with "queue.", "queue-high." or "queue-low." are kept for routing to a queue';
  }
  if (new Set(namesOf({ name, renamedFrom } as AnyContract)).size <= renamedFrom.length)
    return 'renamedFrom must name other names, each once';
  if (!queue) return 'queue is missing: name the queue that its jobs wait in, such as "email"';
  const wrong = [queue, ...movedFrom].find((one) => !isUsable(one) || /^jobs\.|\.dead$/.test(one));
  if (wrong !== undefined)
    return `queue ${JSON.stringify(wrong)} must be a name like those of jobs, not start with "jobs." and not end in ".dead"`;
  if (movedFrom.includes(queue))
    return `movedFrom names "${queue}", where its jobs are: name where they were`;
  return undefined;
}

function problemWithSchemas({ payload, result }: AnyContract): string | undefined {
  if (!payload?._zod) return 'payload is missing: give the zod schema that payloads must fit';
  for (const [part, schema] of Object.entries({ payload, result })) {
    const misfit = misfitOf(schema);
    if (misfit) return `/${part}${misfit}`;
  }
  return undefined;
}
