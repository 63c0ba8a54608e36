import { ProblemException } from '#http';
import {
  type Jobs,
  type JobToEnqueue,
  MAX_CHAIN,
  type NextJob,
  nextJob,
  toViolations,
  UnknownContractError,
} from '#jobs';
import { type EnqueueBody, NextBody } from './requests.js';

/**
 * Reads the job that is to follow others, and those that follow it, one after the other: a chain may be nested deeper
 * than a schema could follow.
 *
 * @param pointer where it stands in the request.
 */
export function nextJobOf(jobs: Jobs, body: unknown, pointer: string, place = 1): NextJob | undefined {
  if (body === undefined) return undefined;
  if (place > MAX_CHAIN) throw misfit(pointer, `a chain has at most ${MAX_CHAIN} jobs`);
  const checked = NextBody.safeParse(body);
  if (!checked.success) throw doesNotFit(toViolations(checked.error.issues, pointer));
  const { name, payload } = checked.data;
  const { next, ...options }: NonNullable<typeof checked.data.options> = checked.data.options ?? {};
  checkQueue(jobs, options.queue, `${pointer}/options/queue`);
  return nextJob(contractOf(jobs, name, pointer), payload, {
    ...options,
    next: nextJobOf(jobs, next, `${pointer}/options/next`, place + 1),
  });
}

/**
 * Reads a job to enqueue.
 *
 * @param pointer where it stands in the request: `/jobs/17`, or nothing when it is all of it.
 */
export function jobOf(
  jobs: Jobs,
  { name, payload, options: given = {} }: EnqueueBody,
  pointer = '',
): JobToEnqueue {
  const contract = pointer ? contractOf(jobs, name, pointer) : jobs.contract(name);
  const { next, ...options } = given;
  checkQueue(jobs, options.queue, `${pointer}/options/queue`);
  if (options.priority && !jobs.hasPriorities(options.queue ?? contract.queue)) {
    throw new ProblemException(422, 'no-priorities', 'Nothing was enqueued', {
      errors: [{ pointer: `${pointer}/options/priority`, detail: 'the queue has no priorities' }],
    });
  }
  return {
    contract,
    payload,
    options: { ...options, next: nextJobOf(jobs, next, `${pointer}/options/next`) },
  };
}

/** Refuses a queue that nobody serves. */
export function checkQueue(jobs: Jobs, queue: string | undefined, pointer: string): void {
  if (queue === undefined || jobs.hasQueue(queue)) return;
  throw new ProblemException(422, 'unknown-queue', 'Nothing was enqueued', {
    errors: [{ pointer, detail: 'no contract has a queue of this name' }],
  });
}

/** A name that is wrong inside of a request is a mistake in it, not something that was not found. */
function contractOf(jobs: Jobs, name: string, pointer: string) {
  try {
    return jobs.contract(name);
  } catch (error) {
    throw error instanceof UnknownContractError ? misfit(`${pointer}/name`, error.message) : error;
  }
}

const misfit = (pointer: string, detail: string) => doesNotFit([{ pointer, detail }]);

const doesNotFit = (errors: { pointer: string; detail: string }[]) =>
  new ProblemException(422, 'request-does-not-fit', 'The request is not what this call takes', { errors });
