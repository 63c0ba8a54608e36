import { setTimeout as pause } from 'node:timers/promises';
import { Inject, Injectable, Logger, Optional } from '@nestjs/common';
import { untilAvailable } from '#common';
import { counted } from '#config';
import type { AnyContract, JobState } from '#define-job';
import type { Delivery } from '#rabbitmq';
import { type Claim, type ClaimRequest, MAX_CRASHES, Records, Throughput } from '#records';
import { type Log, rootLog, type StrayError, traceIdOf } from '#telemetry';
import { Contracts } from '../contracts.js';
import { DeadLettering } from '../dead-lettering.js';
import { CrashedError, NoHandlerError, UnknownContractError } from '../errors.js';
import type { JobContext } from '../handler.js';
import { Isolation, type Seat } from '../isolation.js';
import { type JobsOptions, MODULE_OPTIONS_TOKEN } from '../jobs.module-definition.js';
import { decode, type IncomingJob, type JobDelivery } from '../message.js';
import { Outbox } from '../outbox.js';
import { conform } from '../payload.js';
import { Progress } from '../progress.js';
import { type Secrets, secretsOf } from '../secrets.js';
import { scrub, UnprocessableMessageError } from '../unprocessable.js';
import { Admission, type Deferral, type Permit } from './admission.js';
import { AttemptContext } from './attempt-context.js';
import { Gate } from './gate.js';
import { LoopTurns } from './loop-turns.js';
import { meterOf } from './meter.js';
import { type Decision, decide, describeError, type Outcome } from './outcome.js';
import { returned } from './returned.js';
import { type About, RunningAttempt, STOP_GRACE_MS } from './running-attempt.js';
import { RunningAttempts } from './running-attempts.js';
import { endProcessing, processing } from './spans.js';

/** Runs a handler through Nest's guards, pipes, interceptors and filters. */
export type RunHandler = (job: JobContext) => Promise<unknown>;

/** How long jobs in flight may go on in a worker that an error ends, whatever its grace time: its state is unknown. */
const CRASH_GRACE_MS = 25_000;

type Taken = Extract<Claim, { taken: true }>;
type Refused = Extract<Claim, { taken: false }>;

/**
 * The way of one job through a worker, from delivery to acknowledgement:
 *
 *   1. decode  – does the message make sense? If not, it goes to the dead letters as it is.
 *   2. admit   – may it start yet? Not over a limit: then its record is put off, and the message is dropped. A job
 *                without limits is not asked, and one that would not start either way takes no turn.
 *   3. claim   – may it run? Not if it has ended, or runs elsewhere, or is an older copy: then it is dropped.
 *   4. run     – the handler, with a time limit.
 *   5. settle  – the record learns the outcome. From here on it is safe to lose everything else.
 *   6. publish – the next attempt to its retry queue, or the dead letter.
 *   7. ack     – the broker may forget the message.
 *
 * What needs the database or the broker waits for them: while one is down, the messages in flight stay where they are,
 * the prefetch limit keeps more from coming, and no attempt is used up.
 */
@Injectable()
export class Executor {
  private readonly logger = new Logger(Executor.name);
  private readonly handlers = new Map<string, RunHandler | Isolation>();
  /** What is in flight in this process: attempts, as `id/attempt`, and deliveries that cannot be read. */
  private readonly inFlight = new Map<string | Delivery, InFlight>();
  private onLeft: () => void = () => {};
  private readonly running = new RunningAttempts();
  /** How many attempts ended in this process, in whatever way. */
  ended = 0;
  private readonly gate = new Gate();
  private readonly turns = new LoopTurns();
  private readonly stopping = new AbortController();
  /** Aborted when a grace time that is longer is over all the same. */
  private readonly hurrying = new AbortController();
  private hurry: NodeJS.Timeout | undefined;

  constructor(
    @Inject(MODULE_OPTIONS_TOKEN) private readonly options: JobsOptions,
    private readonly contracts: Contracts,
    private readonly records: Records,
    private readonly deadLetters: DeadLettering,
    private readonly outbox: Outbox,
    private readonly progress: Progress,
    private readonly throughput: Throughput,
    @Optional() private readonly admission?: Admission,
  ) {}

  /** Sets the handler of a contract, or what runs it in a thread. */
  register(contract: AnyContract, handler: RunHandler | Isolation): void {
    this.handlers.set(contract.name, handler);
  }

  /** Takes a delivery; what becomes of it is nobody else's concern. Never throws. */
  take(delivery: JobDelivery): void {
    const arrival = decode(delivery, this.options.maxPayload);
    const key = 'unreadable' in arrival ? delivery : `${arrival.id}/${arrival.attempt}`;
    const held = this.inFlight.get(key);
    if (held) {
      // Delivered again after a lost connection, while it is still in flight. The newer copy takes the place of the
      // older: until the job is claimed and settled, it may be all that there is of it.
      held.newest.ack();
      held.newest = delivery;
      return;
    }
    const entry = new InFlight(key, delivery);
    this.inFlight.set(key, entry);
    void this.workOff(entry, arrival);
  }

  /** Aborts the signal of a running attempt because its job was cancelled. */
  cancel(id: string, claim: number): void {
    this.running.cancel(id, claim);
  }

  /** How many deliveries are in flight. */
  get size(): number {
    return this.inFlight.size;
  }

  /**
   * Lets the deliveries in flight finish, for as long as `graceMs`; then aborts their signals and releases what has
   * not finished. Anyone who calls has seen to it that no more deliveries come.
   */
  async drain(graceMs: number): Promise<void> {
    const { signal } = this.hurrying;
    const graceOver = pause(graceMs, undefined, { ref: false, signal }).catch(() => {});
    // Anyone who ends the worker is not waited for, but runs until then: nobody else may begin with its job.
    await Promise.race([this.left(() => this.running.culprits), graceOver]);
    if (this.inFlight.size > 0)
      this.logger.warn(`Releasing ${counted(this.inFlight.size, 'job')} that did not end in time`);
    this.stopping.abort();
    for (const handler of this.handlers.values()) if (handler instanceof Isolation) handler.stop();
    this.running.release();
    // Handlers that obey their signal, and the statements that release the jobs.
    await Promise.race([this.left(() => 0), pause(2 * STOP_GRACE_MS, undefined, { ref: false })]);
  }

  /** Says whose an error is that nobody caught: from now on this worker is to end soon. */
  blame(error: unknown): StrayError {
    this.hurry ??= setTimeout(() => this.hurrying.abort(), CRASH_GRACE_MS).unref();
    const stray = this.running.blame(error);
    this.onLeft();
    return stray;
  }

  /** Keeps handlers from ending the process. @param end does so in good order. */
  guardProcess(end: (error: unknown, how: string) => void): void {
    this.running.guardProcess(end);
  }

  /** Waits until no more than so many deliveries are in flight. */
  private left(count: () => number): Promise<void> {
    return new Promise((resolve) => {
      this.onLeft = () => {
        if (this.inFlight.size <= count()) resolve();
      };
      this.onLeft();
    });
  }

  /** Never rejects. */
  private async workOff(delivery: InFlight, arrival: ReturnType<typeof decode>): Promise<void> {
    try {
      if ('unreadable' in arrival) await this.deadLetter(delivery, arrival.unreadable);
      else if (!(await this.execute(delivery, arrival, false))) await this.execute(delivery, arrival, true);
    } catch (error) {
      await this.onUnexpected(delivery, error);
    } finally {
      this.inFlight.delete(delivery.key);
      this.onLeft();
    }
  }

  /**
   * @param exclusive the job may be what ended its former workers, and runs while nothing else does.
   * @returns false when it must run exclusively and does not.
   */
  private async execute(delivery: Delivery, arrival: IncomingJob, exclusive: boolean): Promise<boolean> {
    const handler = this.handlers.get(arrival.name);
    // Before all else: a job that waits for a thread has not started, and must keep no other one from it.
    const seat = handler instanceof Isolation ? await handler.seat() : undefined;
    const turn = this.gate.enter(exclusive);
    if (turn) await turn;
    let pass: Permit | undefined;
    try {
      const contract = this.contracts.find(arrival.name);
      const request = claimRequestOf(arrival, contract, exclusive);
      const limits = this.admission?.limits(arrival.name) ? this.admission : undefined;
      if (limits && (await this.wouldStart(request))) {
        const answer = await this.admit(arrival, request, limits);
        if ('delayMs' in answer) {
          delivery.ack();
          return true;
        }
        pass = answer;
      }
      const claim = await this.persistently(() => this.records.claim(request));
      if (!claim.taken) {
        if (claim.mustRunExclusively && !exclusive) return false;
        await this.drop(delivery, arrival, contract, claim);
        return true;
      }

      const secrets = secretsOf(arrival, claim, this.contracts);
      let delay = pass?.confirm && (await this.persistently(async () => pass?.confirm?.()));
      // It could not have started when it was asked for: without a turn it goes round once more.
      if (limits && !pass && claim.crashes < MAX_CRASHES) delay = 0;
      const step = processing(delivery, arrival, claim.attempt);
      const { traceparent } = step;
      const about: About = {
        job: arrival.id,
        name: arrival.name,
        attempt: claim.attempt,
        traceId: traceparent && traceIdOf(traceparent),
      };
      const meter = meterOf(contract);
      meter.claimed(arrival.queue, claim.waited, claim.rescued);
      let outcome: Outcome = { kind: 'snoozed', delay: delay ?? 0 };
      if (delay === undefined)
        outcome = await step.run(() =>
          this.run(arrival, claim, contract, new RunningAttempt(about, claim.claim, secrets), seat),
        );
      endProcessing(step, outcome);
      const decision = decide(outcome, contract?.retry ?? [], claim.attempt, secrets);
      this.progress.forget(arrival.id);
      const state = await this.settle(arrival.id, claim, decision);
      this.ended++;
      meter.ended(outcome, state);
      report(this.log, about, outcome, state, secrets);
      this.throughput.note(arrival.queue, state);

      // Released, or lost: unacknowledged, it returns to its queue as the channel closes.
      if (state === 'queued') return true;
      if (state === decision.settlement.state && state !== 'succeeded')
        await this.publish({ ...arrival, traceparent }, claim, decision);
      delivery.ack();
      return true;
    } finally {
      pass?.release?.();
      seat?.leave();
      this.gate.leave();
    }
  }

  /** Asks whether the job may start yet; puts it off if not. */
  private async admit(
    arrival: IncomingJob,
    request: ClaimRequest,
    admission: Admission,
  ): Promise<Permit | Deferral> {
    const answer = await this.persistently(() => admission.admit(arrival));
    if ('delayMs' in answer) {
      await this.persistently(() => this.records.postpone({ ...request, delayMs: answer.delayMs }));
      await this.persistently(async () => answer.recorded?.());
    }
    return answer;
  }

  /** What is not going to start must not use up a turn of a limit. Jobs without a limit are not asked. */
  private wouldStart(request: ClaimRequest): Promise<boolean> {
    return this.persistently(() => this.records.wouldStart(request));
  }

  /** Lets go of a message whose job may not run. What has a record needs it no more. */
  private async drop(
    delivery: Delivery,
    { name, lacks = 'the message carries no payload, and there is no record that would' }: IncomingJob,
    contract: AnyContract | undefined,
    { state, isAnotherJob }: Refused,
  ): Promise<void> {
    if (isAnotherJob) await this.deadLetter(delivery, `the job of this messageId is no ${name}`);
    else if (state === null) {
      await this.deadLetter(delivery, contract ? lacks : new UnknownContractError(name).message);
    } else delivery.ack();
  }

  private settle(
    id: string,
    { claim, isFollowed }: Taken,
    { settlement }: Decision,
  ): Promise<JobState | null> {
    // A worker that stops releases what it can in the time that is left.
    const until = settlement.released ? AbortSignal.timeout(STOP_GRACE_MS) : this.stopping.signal;
    return this.persistently(() => this.records.settle({ ...settlement, id, claim, isFollowed }), until);
  }

  /** Publishes what comes next, if anything does. What fails here is left to the relay. */
  private publish(
    arrival: IncomingJob,
    { attempt, claim }: Taken,
    { retryDelay, deadReason }: Decision,
  ): Promise<boolean> | undefined {
    if (deadReason !== undefined) return this.outbox.publish({ ...arrival, attempt, claim }, { deadReason });
    return retryDelay && this.outbox.publish({ ...arrival, attempt: attempt + 1, claim }, { retryDelay });
  }

  /** Runs the handler within its time and says how it ended. Never throws. */
  private async run(
    arrival: IncomingJob,
    claim: Taken,
    contract: AnyContract | undefined,
    attempt: RunningAttempt,
    seat: Seat | undefined,
  ): Promise<Outcome> {
    const meter = meterOf(contract);
    let startedAt: number | undefined;
    try {
      if (claim.crashes >= MAX_CRASHES) throw new CrashedError(claim.crashes);
      if (!contract) throw new UnknownContractError(arrival.name);
      if (claim.payload === null && arrival.payload === null)
        throw new UnprocessableMessageError(
          arrival.lacks ?? 'neither the message nor its record has a payload',
        );
      const handler = this.handlers.get(contract.name);
      if (!handler) throw new NoHandlerError(contract.name);
      const given = claim.payload ?? arrival.payload ?? 'null';
      const value = () => (claim.payload === null ? arrival.value : JSON.parse(claim.payload));
      // The schema of an isolated handler makes of it what may not cross to its thread.
      const payload = seat ? undefined : conform(contract, 'payload', value());

      await this.turns.start();
      startedAt = meter.started();
      attempt.startTimeout(contract.timeout);
      if (this.stopping.signal.aborted) attempt.release();

      const { log, progress } = this;
      const job = new AttemptContext(arrival, claim, payload, { attempt, log, progress });
      const { maxPayload } = this.options;
      if (handler instanceof Isolation) {
        if (!seat) throw new NoHandlerError(contract.name);
        return await this.running.run(attempt, () => seat.run(job, given, maxPayload));
      }
      return returned(contract, await this.running.run(attempt, () => handler(job)), maxPayload);
    } catch (error) {
      return attempt.failureBy(error);
    } finally {
      this.running.ended(attempt);
      if (startedAt !== undefined) meter.stopped(startedAt);
    }
  }

  /** The statements refuse this job, now and whenever it comes again: it must not block those behind it. */
  private async onUnexpected(delivery: Delivery, error: unknown): Promise<void> {
    // When the worker stops, the message goes back to its queue as the channel closes.
    if (this.stopping.signal.aborted) return;
    const { messageId: job, type: name } = delivery.message.properties;
    this.log.error({ job, name, err: error }, 'The job cannot be recorded');
    await this.deadLetter(delivery, describeError(error).message).catch(() => {});
  }

  /** A message that no job can be made of becomes a dead letter. */
  private async deadLetter(delivery: Delivery, reason: string): Promise<void> {
    const { messageId: job, type: name } = delivery.message.properties;
    this.log.warn({ job, name, queue: delivery.queue }, `A message is dead-lettered: ${scrub(reason)}`);
    await this.persistently(() => this.deadLetters.deadLetter(delivery, reason));
    delivery.ack();
  }

  /** Does what has to succeed before the message can be let go, as often as it takes; gives up when the worker stops. */
  private persistently<T>(task: () => Promise<T>, until: AbortSignal = this.stopping.signal): Promise<T> {
    return untilAvailable(task, until, ({ message }) =>
      this.logger.warn(`${message}. Trying again until it works.`),
    );
  }

  private get log(): Log {
    return this.options.log ?? silent;
  }
}

/** A delivery in flight, in its newest copy. */
class InFlight implements Delivery {
  readonly queue: string;
  readonly message: Delivery['message'];

  constructor(
    readonly key: string | Delivery,
    public newest: Delivery,
  ) {
    this.queue = newest.queue;
    this.message = newest.message;
  }

  ack(): void {
    this.newest.ack();
  }
}

/** Asks the record whether the job may run. A job of a known contract that nobody but its message knows gets a record. */
function claimRequestOf(
  { id, name, attempt, queue, priority, traceparent, payload }: IncomingJob,
  contract: AnyContract | undefined,
  exclusive: boolean,
): ClaimRequest {
  const request = { id, name, attempt, wantsPayload: payload === null, exclusive };
  if (!contract || payload === null) return request;
  const maxAttempts = contract.retry.length + 1;
  return { ...request, record: { id, name, queue, priority, traceparent, payload, maxAttempts } };
}

const silent = rootLog('silent', 'silent');

/** Errors are logged as they are stored: cut, without secrets, and whatever it was that the handler threw. */
function report(log: Log, about: About, outcome: Outcome, state: JobState | null, secrets: Secrets): void {
  if (!state) log.warn(about, 'The job was taken over by another worker meanwhile; this outcome is dropped');
  else if (outcome.kind === 'failed' || outcome.kind === 'crashed') {
    const { class: type, ...error } = describeError(outcome.error, secrets);
    log.warn({ ...about, err: { type, ...error }, state }, `Attempt ${outcome.kind}; now ${state}`);
  } else log.info({ ...about, state }, `Attempt ended; now ${state}`);
}
