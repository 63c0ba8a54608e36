import type { AnyContract, JobState, PayloadInput } from '#define-job';
import type { EnqueueOptions, Named, Next } from './client.js';
import type { Send } from './requests.js';

/** Jobs that were enqueued together; it is complete since all of them have ended. */
export interface Batch {
  id: string;
  total: number;
  counts: Partial<Record<JobState, number>>;
  completedAt: string | null;
}

type BulkOptions<C extends AnyContract> = Omit<
  EnqueueOptions<C>,
  'priority' | 'unique' | 'debounce' | 'next' | 'wait'
>;

export const bulkCalls = <C extends AnyContract>(send: Send) => ({
  /** Enqueues many jobs of one contract: all of them or none. Others may follow them. */
  async bulk<Name extends C['name']>(
    name: Name,
    payloads: readonly PayloadInput<Named<C, Name>>[],
    options: BulkOptions<C> & { onComplete?: Next<C>; onSuccess?: Next<C> } = {},
  ): Promise<Batch> {
    const { idempotencyKey = crypto.randomUUID(), signal, onComplete, onSuccess, ...rest } = options;
    const body = { name, payloads, options: rest, onComplete, onSuccess };
    return send('/batches', { method: 'POST', body, headers: { 'idempotency-key': idempotencyKey }, signal });
  },

  batch: (id: string): Promise<Batch> => send(`/batches/${encodeURIComponent(id)}`),
});
