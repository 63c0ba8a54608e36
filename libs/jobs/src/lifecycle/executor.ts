import { Injectable, Logger, Optional } from '@nestjs/common';
import { untilAvailable } from '#common';
import { Settings } from '#config';
import { type AnyContract, FIRST_VERSION, isJobName, type JobState } from '#define-job';
import { type Claim, type ClaimRequest, JobStore, MAX_CRASHES, type Refused, Throughput } from '#records';
import { Log, type StrayError } from '#telemetry';
import { AfterDeath } from '../after-death.js';
import { Contracts } from '../contracts.js';
import { DeadLettering } from '../dead-lettering.js';
import { decode, type IncomingJob, type JobDelivery } from '../decode.js';
import { Encryption } from '../encryption.js';
import { UnknownContractError } from '../errors.js';
import { JobLogs } from '../job-logs.js';
import { Outbox } from '../outbox.js';
import { keptOptions } from '../own-options.js';
import { Progress } from '../progress.js';
import { secretsOf } from '../secrets-of.js';
import { scrub } from '../unprocessable.js';
import { Admission, type Permit, UNASKED, UNLIMITED } from './admission.js';
import { Drain } from './drain.js';
import { Gate } from './gate.js';
import { type DeliveryInFlight, InFlight } from './in-flight.js';
import { ObservedAttempt } from './observe.js';
import { type Decision, decide, describeError, type Outcome } from './outcome.js';
import { type AnyHandler, AttemptRunner, type ClaimedJob } from './run-attempt.js';
import { STOP_GRACE_MS } from './running-attempt.js';
import { RunningAttempts } from './running-attempts.js';

/** How often a job of an unknown contract is said to be tried: as one of a contract without `retry`. */
const UNKNOWN_ATTEMPTS = 5;
/** The options of a job that nobody but its message knows. */
const NONE = {};

/**
 * The lifecycle of a job in a worker, from delivery to acknowledgement; {@link process} reads as it goes:
 *
 *   admit → claim → run → decide → settle → publish → ack
 *
 * A step that most jobs do not need is asked for before it is awaited: a promise more for each job can be measured.
 * What needs the database or the broker waits for them: while one is down, the messages in flight stay where they are,
 * the prefetch limit keeps more from coming, and no attempt is used up.
 */
@Injectable()
export class Executor {
  private readonly logger = new Logger(Executor.name);
  private readonly inFlight = new InFlight();
  readonly running = new RunningAttempts();
  private readonly draining = new Drain(this.inFlight, this.running);
  private readonly gate = new Gate();
  private readonly runner: AttemptRunner;
  private readonly encryption: Encryption;
  /** How many attempts ended in this process, in whatever way. */
  ended = 0;

  constructor(
    private readonly settings: Settings,
    private readonly log: Log,
    private readonly contracts: Contracts,
    private readonly store: JobStore,
    private readonly deadLetters: DeadLettering,
    private readonly outbox: Outbox,
    private readonly progress: Progress,
    logs: JobLogs,
    private readonly throughput: Throughput,
    @Optional() private readonly admission?: Admission,
    @Optional() private readonly afterDeath?: AfterDeath,
  ) {
    this.encryption = new Encryption(settings);
    const { encryption, draining } = this;
    const tools = { log, logs, progress, contracts, encryption, maxPayload: settings.MAX_PAYLOAD };
    this.runner = new AttemptRunner(this.running, { ...tools, stopping: draining.signal });
  }

  register(contract: AnyContract, handler: AnyHandler): void {
    this.runner.register(contract, handler);
  }

  /** Processes a delivery, and acknowledges it when it is done. Never throws. */
  take(delivery: JobDelivery): void {
    const job = decode(delivery, this.settings.MAX_PAYLOAD);
    const isUnreadable = 'unreadable' in job;
    const added = this.inFlight.add(delivery, isUnreadable ? undefined : `${job.id}/${job.attempt}`);
    if (added) this.start(added, job);
  }

  private start(delivery: DeliveryInFlight, job: IncomingJob | { unreadable: string }): void {
    const end = 'unreadable' in job ? this.deadLetter(delivery, job.unreadable) : this.process(delivery, job);
    void end.then(
      (isAgain) => (isAgain ? this.start(delivery, job) : this.inFlight.delete(delivery)),
      async (error) => {
        await this.onUnexpected(delivery, error);
        this.inFlight.delete(delivery);
      },
    );
  }

  get size(): number {
    return this.inFlight.size;
  }

  /** Lets what is in flight finish, for as long as `graceMs`, and releases the rest. No more deliveries may come. */
  drain(graceMs: number): Promise<void> {
    return this.draining.drain(graceMs, () => this.runner.stop());
  }

  /** Attributes an error that nobody caught to an attempt. From now on this worker is about to end. */
  blame(error: unknown): StrayError {
    const stray = this.running.blame(error);
    this.draining.hurryUp();
    return stray;
  }

  /** Keeps handlers from ending the process. @param end does so in good order. */
  guardProcess(end: (error: unknown, how: string) => void): void {
    this.running.guardProcess(end);
  }

  /** @returns whether it is to be processed again: it was put off, and a copy came that may have brought it again. */
  private async process(delivery: DeliveryInFlight, given: IncomingJob): Promise<boolean> {
    const contract = this.contracts.find(given.name);
    const job = this.encryption.sealJob(contract, given);
    const isKnown = contract !== undefined && job.version <= contract.version;
    const request = this.claimRequestOf(job, contract);
    // First of all: a job that waits for a thread has not started, and must keep no other one from it.
    const seat = isKnown && this.runner.needsSeat(job.name) ? await this.runner.seat(job.name) : undefined;
    const turn = this.gate.enter();
    if (turn) await turn;
    let permit: Permit | undefined = UNLIMITED;
    try {
      if (isKnown && this.admission?.limits(job.name))
        permit = await this.admit(this.admission, job, request);
      if (!permit) return delivery.ackUnlessCopied();
      let claim = await this.persistently(() => this.store.claim(request));
      if (!claim.taken && claim.mustRunExclusively) claim = await this.claimExclusively(request);
      if (claim.taken) return await this.attempt(delivery, { job, claim, contract, seat }, permit);
      await this.drop(delivery, job, contract, claim);
      return false;
    } finally {
      permit?.release?.();
      seat?.leave();
      this.gate.leave();
    }
  }

  /** Runs what was claimed, and lets go of its message when the record has it. @returns as {@link process} */
  private async attempt(
    delivery: DeliveryInFlight,
    taken: Omit<ClaimedJob, 'secrets' | 'observed'>,
    { confirm }: Permit,
  ): Promise<boolean> {
    const { job, claim, contract, seat } = taken;
    const secrets = secretsOf(job, claim, this.contracts, this.encryption);
    const observed = new ObservedAttempt(delivery, job, contract, claim);
    const claimed = { job, claim, contract, seat, secrets, observed };
    const outcome = await observed.run(() => this.run(claimed, confirm));
    observed.ended(outcome);
    const decision = decide(outcome, this.contracts.retryOf(contract, claim), claim.attempt, secrets);
    if ('problem' in decision) observed.hadNoDelay(decision.problem, this.log, secrets);
    if (decision.deadReason !== undefined) this.afterDeath?.addTo(decision, claimed);
    const state = await this.settle(claimed, decision, outcome);
    const isHeld = outcome.kind === 'held';
    if (!isHeld) this.ended++;
    observed.settled(outcome, state, this.log, this.throughput, secrets);

    // Released, or crashed: unacknowledged, the message returns to its queue as the channel closes.
    if (state === 'queued' && !isHeld) return false;
    const isNext = (decision.deadReason ?? decision.retryDelay) !== undefined;
    if (isNext && state === decision.settlement.state) await this.publish(claimed, decision);
    if (decision.settlement.released) return delivery.ackUnlessCopied();
    delivery.ack();
    return false;
  }

  /**
   * Asks whether the job may start yet. One that would not start either way takes no turn.
   *
   * @returns undefined when it may not: its record says until when it was put off, and needs the message no more.
   */
  private async admit(
    admission: Admission,
    job: IncomingJob,
    request: ClaimRequest,
  ): Promise<Permit | undefined> {
    const question = { ...request, exclusive: true };
    if (!(await this.persistently(() => this.store.wouldStart(question)))) return UNASKED;
    const answer = await this.persistently(() => admission.admit(job));
    if (!('delayMs' in answer)) return answer;
    await this.persistently(() => this.store.postpone({ ...request, ...answer }));
    await this.persistently(async () => answer.recorded?.());
    return undefined;
  }

  /** Takes a job that may be what ended its former workers, when nothing else runs here. */
  private async claimExclusively(request: ClaimRequest): Promise<Claim> {
    await this.gate.becomeExclusive();
    return this.persistently(() => this.store.claim({ ...request, exclusive: true }));
  }

  /** Lets go of a message whose job may not run: it has ended, runs elsewhere, or this is an older copy. */
  private async drop(
    delivery: DeliveryInFlight,
    { name, lacks = 'the message carries no payload, and there is no record with one' }: IncomingJob,
    contract: AnyContract | undefined,
    { state, isAnotherJob }: Refused,
  ): Promise<void> {
    if (isAnotherJob)
      return this.deadLetter(delivery, `the job of this messageId is not of the contract ${name}`);
    if (state !== null) return delivery.ack();
    return this.deadLetter(delivery, contract ? lacks : new UnknownContractError(name).message);
  }

  /** Runs the handler, unless the job is not known here, or its time to start has passed since it was admitted. */
  private run(claimed: ClaimedJob, confirm: Permit['confirm']): Promise<Outcome> {
    const { job, claim } = claimed;
    const needed = this.contracts.unknownOf(job, claim);
    const isOver = claim.isLate || claim.crashes >= MAX_CRASHES;
    const isHeld = needed && this.maySoonBeKnown(job) && !claim.isHeldOver && !isOver;
    if (isHeld) return Promise.resolve({ kind: 'held', needed, ms: this.settings.HOLD_UNKNOWN });
    if (!confirm || isOver) return this.runner.run(claimed);
    return this.persistently(confirm).then((deferral) =>
      deferral
        ? { kind: 'snoozed', delay: deferral.delayMs, limitedBy: deferral.limitedBy }
        : this.runner.run(claimed),
    );
  }

  /** Writes the outcome into the record: from here on it is safe to lose everything else. */
  private settle(
    { job: { id }, claim: { claim, isFollowed }, contract, observed }: ClaimedJob,
    { settlement }: Decision,
    { used }: Outcome,
  ): Promise<JobState | null> {
    this.progress.forget(id);
    // A worker that stops releases what it can in the time that is left.
    const until = settlement.released ? AbortSignal.timeout(STOP_GRACE_MS) : this.draining.signal;
    const end = {
      ...settlement,
      id,
      claim,
      isFollowed,
      hasStarted: observed.hasStarted,
      used,
      resultVersion: isFollowed ? contract?.version : undefined,
    };
    return this.persistently(() => this.store.settle(end), until);
  }

  /** Publishes what comes next, if anything does. What fails here is left to the relay. */
  private async publish(
    { job, claim: { claim, attempt, version }, observed: { traceparent } }: ClaimedJob,
    { retryDelay, deadReason }: Decision,
  ): Promise<void> {
    const message = { ...job, claim, version, traceparent };
    if (deadReason !== undefined) await this.outbox.publish({ ...message, attempt }, { deadReason });
    else if (retryDelay) await this.outbox.publish({ ...message, attempt: attempt + 1 }, { retryDelay });
  }

  /** No statement accepts this job, now or later: it must not block the jobs behind it. */
  private async onUnexpected(delivery: DeliveryInFlight, error: unknown): Promise<void> {
    // When the worker stops, the message returns to its queue as the channel closes.
    if (this.draining.signal.aborted) return;
    const { messageId: job, type: name } = delivery.message.properties;
    this.log.error({ job, name, err: error }, 'Cannot record the job');
    await this.deadLetter(delivery, describeError(error).message).catch(() => {});
  }

  private async deadLetter(delivery: DeliveryInFlight, reason: string): Promise<void> {
    const { messageId: job, type: name } = delivery.message.properties;
    this.log.warn({ job, name, queue: delivery.queue, reason: scrub(reason) }, 'Dead-lettering message');
    await this.persistently(() => this.deadLetters.deadLetter(delivery, reason));
    delivery.ack();
  }

  /** Does what has to succeed before the message can be let go, as often as it takes; gives up when the worker stops. */
  private persistently<T>(task: () => Promise<T>, until: AbortSignal = this.draining.signal): Promise<T> {
    return untilAvailable(task, until, ({ message }) =>
      this.logger.warn(`Retrying until it succeeds: ${message}`),
    );
  }

  /** Asks the record whether the job may run. A job that nobody but its message knows gets a record. */
  private claimRequestOf(job: IncomingJob, contract: AnyContract | undefined): ClaimRequest {
    const { id, name, attempt, version, queue, priority, traceparent, payload } = job;
    const given = version === FIRST_VERSION ? undefined : version;
    const request = { id, name, attempt, wantsPayload: payload === null, version: given };
    if (payload === null || !(contract || this.maySoonBeKnown(job))) return request;
    const maxAttempts = contract?.retry.maxAttempts ?? UNKNOWN_ATTEMPTS;
    const options = contract && keptOptions(NONE, contract);
    return {
      ...request,
      record: { id, name, queue, priority, traceparent, payload, maxAttempts, version: given, options },
    };
  }

  /** Whether a worker may come that knows a job which is not known here. */
  private maySoonBeKnown({ name }: IncomingJob): boolean {
    return this.settings.HOLD_UNKNOWN > 0 && isJobName(name);
  }
}
