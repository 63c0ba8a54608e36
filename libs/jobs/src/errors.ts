import { type Duration, formatDuration, NonRetryableError } from '#define-job';
import { type JobView, type Known, named } from '#records';

/** One thing that does not fit a schema, and where: a JSON Pointer (RFC 6901) such as `/payload/to`. */
export interface Violation {
  pointer: string;
  detail: string;
}

/** A payload or a result that does not fit its contract. Trying again would not help. */
export class ContractViolationError extends NonRetryableError {
  override readonly name = 'ContractViolationError';
  constructor(
    readonly contract: string,
    readonly part: 'payload' | 'result',
    readonly violations: readonly Violation[],
  ) {
    super(
      `The ${part} does not fit ${contract}: ${violations.map(({ pointer, detail }) => `${pointer}: ${detail}`).join('; ')}`,
    );
  }
}

/** A payload or a result that no contract allows: too large, nested too deeply, or not JSON. */
export class PayloadError extends Error {
  override readonly name = 'PayloadError';
  constructor(
    message: string,
    readonly tooLarge = false,
  ) {
    super(message);
  }
}

/** What a handler returned cannot be stored. Trying again would do the work a second time, in vain. */
export class ResultError extends NonRetryableError {
  override readonly name = 'ResultError';
  constructor(cause: unknown) {
    super(`The result cannot be stored: ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
}

/** No contract has this name. */
export class UnknownContractError extends NonRetryableError {
  override readonly name = 'UnknownContractError';
  constructor(
    readonly contract: string,
    end = '',
  ) {
    super(`No contract is named ${JSON.stringify(contract.slice(0, 100))}${end}`);
  }
}

/** A job is of a newer version than this worker knows. */
export class UnknownVersionError extends NonRetryableError {
  override readonly name = 'UnknownVersionError';
  constructor(needed: Known, end = '') {
    super(`This worker does not know ${named(needed)}${end}`);
  }
}

/** This worker has no handler for a job that it was given. */
export class NoHandlerError extends NonRetryableError {
  override readonly name = 'NoHandlerError';
  constructor(contract: string) {
    super(`This worker has no handler for ${contract}: is its class among the worker's controllers?`);
  }
}

/** An attempt took longer than its contract allows. */
export class JobTimeoutError extends Error {
  override readonly name = 'JobTimeoutError';
  constructor(timeout: Duration) {
    super(`The attempt took longer than its timeout of ${timeout}`);
  }
}

/** A job could not start within the time that it had for that. Its handler has not seen it. */
export class StartDeadlineError extends NonRetryableError {
  override readonly name = 'StartDeadlineError';
  constructor(startWithin: number) {
    super(`The job could not start within ${formatDuration(startWithin)} of its time to run (startWithin)`);
  }
}

/** The reason with which a job's signal is aborted when somebody cancelled the job. */
export class CancelledError extends Error {
  override readonly name = 'CancelledError';
  constructor() {
    super('The job was cancelled while it ran');
  }
}

/** A job whose worker ended each time it ran. It is not run again, for the sake of the other jobs. */
export class CrashedError extends NonRetryableError {
  override readonly name = 'CrashedError';
  constructor(crashes: number) {
    super(
      `The worker ended ${crashes} times while it ran this job. Look at the errors of the crashed attempts: did the ` +
        'handler leave an error uncaught, or run out of memory?',
    );
  }
}

/** The Idempotency-Key came before, with another payload. */
export class IdempotencyConflictError extends Error {
  override readonly name = 'IdempotencyConflictError';
  constructor(readonly job: string) {
    super(
      `The idempotency key was used for another job (${job}), with another name, payload or options: use a new key`,
    );
  }
}

/** A hook does not let a job be enqueued. */
export class EnqueueRefusedError extends Error {
  override readonly name = 'EnqueueRefusedError';
}

/** No job has this id: it never had, or its record was pruned. */
export class UnknownJobError extends Error {
  override readonly name = 'UnknownJobError';
  constructor(readonly job: string) {
    super(`No job has the id ${job}`);
  }
}

/** A job that is to be enqueued again has not ended. */
export class NotEndedError extends Error {
  override readonly name = 'NotEndedError';
  constructor({ id, state }: Pick<JobView, 'id' | 'state'>) {
    super(`The job ${id} is ${state}: only a job that has ended can be enqueued again`);
  }
}

/** The job whose result is wanted has ended, and not well. */
export class JobFailedError extends Error {
  override readonly name = 'JobFailedError';
  constructor(readonly job: JobView) {
    super(`The job ${job.id} is ${job.state}: ${job.error?.message ?? 'it was not run to its end'}`);
  }
}

/** The job whose result is wanted has not ended in time. It goes on. */
export class ResultTimeoutError extends Error {
  override readonly name = 'ResultTimeoutError';
  constructor(
    readonly job: string,
    timeout: Duration | number,
  ) {
    super(`The job ${job} has not ended within ${typeof timeout === 'number' ? `${timeout} ms` : timeout}`);
  }
}

/** The reason with which a job's signal is aborted when the worker must stop; the attempt does not count then. */
export class WorkerStoppingError extends Error {
  override readonly name = 'WorkerStoppingError';
  constructor() {
    super('The worker is stopping; the job is released and runs again elsewhere');
  }
}
