import { Controller, type ScopeOptions, type Type } from '@nestjs/common';
import { EventPattern } from '@nestjs/microservices';
import type { Snooze } from '#define-job';
import { type AnyContract, ContractError, type Duration, type PayloadOf, type ResultOf } from '#define-job';
import type { Previous } from '#records';
import type { Log } from '#telemetry';

/** Marks handlers as ours among the controllers of an app; see `JobServer`. */
export const JOB_TRANSPORT = Symbol('warren jobs');

const ISOLATED = Symbol('isolated handler');
const MANY = Symbol('handler of many jobs');

/** What a handler is given for one attempt. */
export interface JobContext<C extends AnyContract = AnyContract> {
  /** The job's id, the same in every attempt: the key with which to make side effects happen once. */
  readonly id: string;
  readonly name: string;
  readonly queue: string;
  /** 1 for the first attempt. */
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly payload: PayloadOf<C>;
  readonly createdAt: Date;
  /** What it was enqueued with to be found by. */
  readonly tags: readonly string[];
  /**
   * What the job follows, when it was enqueued as the next of another one, or by the end of a batch. The contract that it followed
   * tells what the result is: `GenerateReport.result.parse(job.previous?.result)`.
   */
  readonly previous?: Previous;
  /** Aborted when the attempt's time is over, or the worker stops. Hand it on to whatever takes it. */
  readonly signal: AbortSignal;
  /** W3C trace context of this attempt, if there is one: the headers `traceparent` and `tracestate` for requests to others. */
  readonly traceparent?: string;
  readonly tracestate?: string;
  /** A log whose lines carry the job's id, name, attempt and trace, and none of its secrets; see `docs/logging.md`. */
  readonly log: Log;
  /** Tells how far the job is, from 0 to 1, with a word on what it does. Costs nothing per call. */
  progress(fraction: number, note?: string): void;
}

/** A class that does the work of one contract. It throws to fail; see `errors.ts` for failing in particular ways. */
export interface Handler<C extends AnyContract> {
  handle(job: JobContext<C>): Promise<ResultOf<C> | Snooze> | ResultOf<C> | Snooze;
}

/** A class that does the work of many jobs of one contract in one call: `@JobHandler(Contract, { batch: { … } })`. */
export interface BatchHandler<C extends AnyContract> {
  handle(jobs: readonly JobContext<C>[]): Promise<BatchResults<C>> | BatchResults<C>;
}

/** What became of each job, by its id: its result, or why it failed. A job that is missing has failed. */
export type BatchResults<C extends AnyContract> = ReadonlyMap<string, ResultOf<C> | Snooze | Error>;

/** How many jobs a {@link BatchHandler} is given in one call at most, and how long the first of them waits for others. */
export interface BatchSize {
  size: number;
  within: Duration;
}

/** Limits that hold across all workers; `LimitsModule` keeps them. */
export interface HandlerLimits<C extends AnyContract = AnyContract> {
  /**
   * Starts at most `max` jobs within any time of `per`, evenly spaced; `burst` of the `max` may start at once, which
   * spaces the others further apart. With `key` each value that it gives has a limit of its own.
   */
  rateLimit?: { max: number; per: Duration; burst?: number; key?: (payload: PayloadOf<C>) => string };
  /** Runs at most `max` jobs at once; with `key`, so many of each value that it gives. */
  concurrency?: { max: number; key?: (payload: PayloadOf<C>) => string };
}

/** How a handler is served. */
export interface JobHandlerOptions<C extends AnyContract = AnyContract>
  extends ScopeOptions,
    HandlerLimits<C> {
  /**
   * Run it in a thread of its own, with a Nest context of its own: for work that computes. Such work leaves the other
   * handlers alone, may be killed at its time-out and has a memory limit. See `docs/isolation.md`.
   */
  isolated?: boolean;
  /** Call it with many jobs at once; the class is a {@link BatchHandler} then. */
  batch?: BatchSize;
}

/**
 * Makes a class the handler of a contract. List it among a module's `controllers`; guards, pipes, interceptors,
 * filters and request scope work on it as on any controller, with the {@link JobContext} as the message's data.
 *
 * ```ts
 * @JobHandler(SendEmail)
 * export class SendEmailHandler implements Handler<typeof SendEmail> {
 *   async handle({ payload, signal }: JobContext<typeof SendEmail>) { … }
 * }
 * ```
 */
export function JobHandler<C extends AnyContract>(
  contract: C,
  options: JobHandlerOptions<C> & { batch: BatchSize },
): Decorates<BatchHandler<C>>;
export function JobHandler<C extends AnyContract>(
  contract: C,
  options?: JobHandlerOptions<C> & { batch?: undefined },
): Decorates<Handler<C>>;
export function JobHandler<C extends AnyContract>(
  contract: C,
  options: JobHandlerOptions<C> = {},
): Decorates<Handler<C> | BatchHandler<C>> {
  const { isolated = false, batch, rateLimit, concurrency, ...scope } = options;
  const limits = rateLimit || concurrency ? { rateLimit, concurrency } : undefined;
  return (target): void => {
    const handle = Object.getOwnPropertyDescriptor(target.prototype, 'handle');
    if (!handle) throw new ContractError(`${target.name} has no method handle(job): @JobHandler needs one`);
    const extras: HandlerExtras = { contract, handler: target, isolated, batch, limits };
    // A contract that is undefined here, by a circular import for example, is reported when the worker starts.
    EventPattern<string>(contract?.name ?? target.name, JOB_TRANSPORT, extras)(
      target.prototype,
      'handle',
      handle,
    );
    Controller(scope)(target);
    Reflect.defineMetadata(ISOLATED, isolated, target);
    Reflect.defineMetadata(MANY, batch !== undefined, target);
  };
}

// biome-ignore lint/suspicious/noExplicitAny: a handler's constructor takes whatever Nest is to inject
type Decorates<Instance> = <T extends new (...args: any[]) => Instance>(target: T) => void;

/** What {@link JobHandler} leaves for the `JobServer`. */
export interface HandlerExtras extends Record<string, unknown> {
  contract: AnyContract | undefined;
  handler: Type;
  isolated: boolean;
  batch: BatchSize | undefined;
  limits: HandlerLimits | undefined;
}

/** Whether a class is a handler with `isolated: true`, for the module that threads run. */
export const isIsolated = (target: Type): boolean => Reflect.getMetadata(ISOLATED, target) === true;

/** Whether a handler takes many jobs in one call. */
export const takesMany = (
  handler: Handler<AnyContract> | BatchHandler<AnyContract>,
): handler is BatchHandler<AnyContract> => Reflect.getMetadata(MANY, handler.constructor) === true;
