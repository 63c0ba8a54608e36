import { type AnyContract, formatDuration, namesOf } from '#define-job';
import { MAX_CRASHES, type Taken } from '#records';
import type { Contracts } from '../contracts.js';
import type { IncomingJob } from '../decode.js';
import type { Encryption } from '../encryption.js';
import {
  CrashedError,
  NoHandlerError,
  StartDeadlineError,
  UnknownContractError,
  UnknownVersionError,
} from '../errors.js';
import type { JobContext } from '../handler.js';
import { Isolation, type Seat } from '../isolation.js';
import type { JobSecrets } from '../job-secrets.js';
import { parseOrThrow } from '../payload.js';
import { hasEncrypted } from '../redact.js';
import { UnprocessableMessageError } from '../unprocessable.js';
import { upgraded, upgradedPrevious } from '../upgrade.js';
import { AttemptContext, type Listeners } from './attempt-context.js';
import { Collector } from './collector.js';
import { LoopTurns } from './loop-turns.js';
import type { ObservedAttempt } from './observe.js';
import type { Outcome } from './outcome.js';
import { returned } from './returned.js';
import { RunningAttempt } from './running-attempt.js';
import type { RunningAttempts } from './running-attempts.js';

/** Runs a handler through Nest's guards, pipes, interceptors and filters. */
export type RunHandler = (job: JobContext) => Promise<unknown>;

/** Whatever runs the jobs of a contract. */
export type AnyHandler = RunHandler | Isolation | Collector;

export interface ClaimedJob {
  job: IncomingJob;
  claim: Taken;
  contract: AnyContract | undefined;
  secrets: JobSecrets;
  seat: Seat | undefined;
  observed: ObservedAttempt;
}

export interface AttemptTools extends Listeners {
  contracts: Contracts;
  encryption: Encryption;
  maxPayload: number;
  /** Aborted when the worker lets go of what is in flight. */
  stopping: AbortSignal;
}

/** Runs claimed jobs. */
export class AttemptRunner {
  private readonly handlers = new Map<string, AnyHandler>();
  private readonly turns = new LoopTurns();

  constructor(
    private readonly running: RunningAttempts,
    private readonly tools: AttemptTools,
  ) {}

  register(contract: AnyContract, handler: AnyHandler): void {
    for (const name of namesOf(contract)) this.handlers.set(name, handler);
  }

  needsSeat(name: string): boolean {
    return this.handlers.get(name) instanceof Isolation;
  }

  async seat(name: string): Promise<Seat | undefined> {
    const handler = this.handlers.get(name);
    return handler instanceof Isolation ? handler.seat() : undefined;
  }

  /** The worker stops: no job gets a thread any more. */
  stop(): void {
    for (const handler of this.handlers.values()) if (handler instanceof Isolation) handler.stop();
  }

  /** Runs the handler within its time and says how it ended. Never throws. */
  async run(claimed: ClaimedJob): Promise<Outcome> {
    const { claim, contract, secrets, observed } = claimed;
    const attempt = new RunningAttempt(observed.about, claim.claim, secrets);
    try {
      if (claim.crashes >= MAX_CRASHES) throw new CrashedError(claim.crashes);
      if (claim.isLate) throw new StartDeadlineError(Number(claim.options?.startWithin));
      const outcome = await this.handle(claimed, attempt);
      if (contract && outcome.kind === 'succeeded')
        outcome.result = this.tools.encryption.seal(contract, 'result', outcome.result);
      return attempt.used ? { ...outcome, used: attempt.used } : outcome;
    } catch (error) {
      return { ...attempt.failureBy(error), used: attempt.used };
    } finally {
      this.running.ended(attempt);
      observed.stopped();
    }
  }

  /** What runs a job. @throws why it cannot be run here. */
  private handlerOf({ job, claim, contract, seat }: ClaimedJob): {
    contract: AnyContract;
    handler: AnyHandler;
  } {
    const unknown = this.tools.contracts.unknownOf(job, claim);
    const end = claim.isHeldOver ? ', and no worker that does came while it was held (HOLD_UNKNOWN)' : '';
    if (!contract) throw new UnknownContractError(job.name, end);
    if (unknown) throw new UnknownVersionError(unknown, end);
    if (claim.payload === null && job.payload === null)
      throw new UnprocessableMessageError(job.lacks ?? 'neither the message nor its record has a payload');
    const handler = this.handlers.get(contract.name);
    if (!handler || (handler instanceof Isolation && !seat)) throw new NoHandlerError(contract.name);
    return { contract, handler };
  }

  private async handle(claimed: ClaimedJob, attempt: RunningAttempt): Promise<Outcome> {
    const { job, claim, seat, observed } = claimed;
    const { contract, handler } = this.handlerOf(claimed);
    const { contracts, encryption, stopping, maxPayload } = this.tools;
    const previous = claim.previous
      ? upgradedPrevious(encryption.openPrevious(claim.previous, contracts), contracts)
      : undefined;
    const isOld = claim.version < contract.version;
    const isAsStored = !isOld && !hasEncrypted(contract.payload);
    const value =
      seat && isAsStored ? undefined : encryption.open(contract, 'payload', payloadValue(job, claim));
    const current = isOld ? upgraded(contract, 'payload', value, claim.version) : value;
    // The output of an isolated handler's schema may not be able to cross to its thread.
    const payload = seat ? undefined : parseOrThrow(contract, 'payload', current);

    await this.turns.start();
    // What has not begun when the worker lets go of its jobs begins elsewhere.
    if (stopping.aborted) return { kind: 'released' };
    observed.started();
    const begin = () => attempt.startTimeout(timeoutOf(contract, claim));
    const given = { name: contract.name, payload, previous };
    const context = new AttemptContext(job, claim, given, attempt, this.tools);
    if (handler instanceof Collector) {
      const result = await this.running.run(attempt, () => handler.run(context, begin));
      return returned(contract, result, maxPayload);
    }
    begin();
    if (handler instanceof Isolation) {
      const json = isAsStored ? (claim.payload ?? job.payload ?? 'null') : JSON.stringify(current);
      return this.running.run(attempt, () => (seat as Seat).run(context, json, maxPayload));
    }
    return returned(contract, await this.running.run(attempt, () => handler(context)), maxPayload);
  }
}

const timeoutOf = ({ timeout }: AnyContract, { options }: Taken) =>
  typeof options?.timeout === 'number' ? formatDuration(options.timeout) : timeout;

const payloadValue = (job: IncomingJob, { payload }: Taken): unknown =>
  payload === null ? job.value : JSON.parse(payload);
