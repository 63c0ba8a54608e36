import { v7 as uuid } from 'uuid';
import { type AnyContract, type JobContext, type PayloadInput, toJson } from '#jobs';
import { rootLog } from '#telemetry';
import { memorySettings } from './memory-worker.js';

/** A job as a handler gets it, and what the handler told of its progress. */
export type TestJob<C extends AnyContract> = JobContext<C> & { told: { fraction: number; note?: string }[] };

/**
 * Makes the context of one attempt, for handlers that are called directly; the payload goes through the schema. What a
 * worker would make of what they return or throw, `runJob` tells.
 */
export function givenJob<C extends AnyContract>(
  contract: C,
  payload: PayloadInput<C>,
  options: Partial<Pick<JobContext, 'id' | 'attempt' | 'tags' | 'signal' | 'createdAt' | 'progress'>> = {},
): TestJob<C> {
  const told: { fraction: number; note?: string }[] = [];
  return {
    id: uuid(),
    name: contract.name,
    queue: contract.queue,
    attempt: 1,
    maxAttempts: contract.retry.maxAttempts,
    payload: contract.payload.parse(JSON.parse(toJson(payload, memorySettings.MAX_PAYLOAD, '/payload'))),
    tags: [],
    createdAt: new Date('2026-01-02T03:04:05.678Z'),
    signal: new AbortController().signal,
    log: rootLog('test', 'silent'),
    progress: (fraction, note) => told.push({ fraction, note }),
    told,
    ...options,
  };
}
