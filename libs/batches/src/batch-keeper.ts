import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { Duty } from '#common';
import { DatabaseUnavailableError, JobStore, type NewRecord, RecordsDatabase, WorkerLock } from '#records';
import { BatchStore, type EndedBatch } from './batch-store.js';

/** How often batches are checked: the end of one is noticed within this time. */
const POLL_INTERVAL_MS = 500;
/** With very many open batches a check takes long; the rest after it is this many times as long. */
const REST_FACTOR = 5;
/** Batches that are completed by one transaction. */
const LIMIT = 100;

/**
 * Completes the batches whose jobs have all ended: enqueues what follows and marks the batch in one transaction, so that
 * this happens exactly once, whichever process dies when. One worker looks, to save work; the rows are locked all the same.
 */
@Injectable()
export class BatchKeeper extends Duty implements OnApplicationBootstrap, OnModuleDestroy {
  /** 1 after several could not be completed together. */
  private atOnce = LIMIT;
  /** Batches that cannot be completed; the next leader tries them again. */
  private readonly stuck = new Set<string>();

  constructor(
    private readonly batches: BatchStore,
    private readonly store: JobStore,
    private readonly database: RecordsDatabase,
    private readonly lock: WorkerLock,
  ) {
    super({ name: 'Completing batches', intervalMs: POLL_INTERVAL_MS });
  }

  onApplicationBootstrap(): void {
    this.start(POLL_INTERVAL_MS);
  }

  onModuleDestroy(): Promise<void> {
    return this.stop();
  }

  protected async run(): Promise<boolean | number> {
    if (!(await this.lock.isLeader('batches'))) return false;
    const startedAt = performance.now();
    let ended: EndedBatch[] = [];
    const completing = this.database.transaction(async (transaction) => {
      ended = await this.batches.takeEnded(transaction, this.atOnce, [...this.stuck]);
      const following = ended.flatMap(followingOf);
      if (following.length > 0) await this.store.insertMany(following, transaction);
      await this.batches.complete(
        transaction,
        ended.map(({ id }) => id),
      );
    });
    const isDone = await completing.then(
      () => true,
      (error) => this.setApart(ended, error),
    );
    const isMore = !isDone || ended.length === this.atOnce;
    if (!isMore) this.atOnce = LIMIT;
    return isMore || Math.max(POLL_INTERVAL_MS, REST_FACTOR * (performance.now() - startedAt));
  }

  /** A batch that cannot be completed must not block the others. */
  private setApart([first, ...others]: EndedBatch[], error: Error): false {
    if (!first || error instanceof DatabaseUnavailableError) throw error;
    this.atOnce = 1;
    if (others.length > 0) return false;
    this.stuck.add(first.id);
    this.logger.error({ msg: `Cannot complete a batch: ${error.message}`, batch: first.id });
    return false;
  }
}

/** The jobs that follow a batch, given how many of its jobs ended in which state. */
function followingOf({ id, name, total, counts, onComplete, onSuccess }: EndedBatch): NewRecord[] {
  const { succeeded, dead, cancelled, discarded } = counts;
  const previous = { id, name, result: { total, succeeded, dead, cancelled, discarded } };
  const hasSucceeded = dead + cancelled + discarded === 0;
  return [onComplete, hasSucceeded ? onSuccess : null].flatMap((next) => (next ? { ...next, previous } : []));
}
