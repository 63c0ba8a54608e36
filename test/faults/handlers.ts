import { setTimeout as pause } from 'node:timers/promises';
import { type AnyContract, type Handler, type JobContext, JobHandler } from '#jobs';
import {
  BlockingLedger,
  CrashLedger,
  EndlessLedger,
  FlakyLedger,
  FollowingLedger,
  RenamedLedger,
  SlowLedger,
  TickLedger,
  UnwrittenLedger,
  VersionedLedger,
  WriteLedger,
} from './contracts.js';
import { Ledger } from './ledger.js';

/** The handlers of the suite's contracts; the built worker gets them beside its own, see `test/support/apps-with.ts`. */

const ledger = new Ledger(process.env.FAULTS_LEDGER ?? '');

/** Does the work of a job between the two entries that show that it ran. */
async function recorded<C extends AnyContract>(job: JobContext<C>, work: () => Promise<void> | void) {
  const { id, name, attempt, signal } = job;
  const write = (event: 'started' | 'finished' | 'released') =>
    ledger.write({ job: id, name, attempt, event });
  write('started');
  signal.addEventListener('abort', () => {
    if (signal.reason?.name === 'WorkerStoppingError') write('released');
  });
  await work();
  write('finished');
}

@JobHandler(WriteLedger)
export class WriteLedgerHandler implements Handler<typeof WriteLedger> {
  handle(job: JobContext<typeof WriteLedger>) {
    return recorded(job, () => {});
  }
}

@JobHandler(UnwrittenLedger)
export class UnwrittenLedgerHandler implements Handler<typeof UnwrittenLedger> {
  async handle() {}
}

@JobHandler(FlakyLedger)
export class FlakyLedgerHandler implements Handler<typeof FlakyLedger> {
  handle(job: JobContext<typeof FlakyLedger>) {
    return recorded(job, () => {
      if (job.attempt === 1) throw new Error('The first attempt fails, as it should');
    });
  }
}

@JobHandler(TickLedger)
export class TickLedgerHandler implements Handler<typeof TickLedger> {
  handle(job: JobContext<typeof TickLedger>) {
    return recorded(job, () => {});
  }
}

@JobHandler(SlowLedger)
export class SlowLedgerHandler implements Handler<typeof SlowLedger> {
  handle(job: JobContext<typeof SlowLedger>) {
    return recorded(job, () => pause(job.payload.ms, undefined, { signal: job.signal }));
  }
}

@JobHandler(CrashLedger)
export class CrashLedgerHandler implements Handler<typeof CrashLedger> {
  handle(job: JobContext<typeof CrashLedger>) {
    return recorded(job, () => {
      if (job.payload.how === 'exit') process.exit(1);
      if (job.payload.how === 'rejection') {
        void Promise.reject(new Error('Nobody catches this'));
        return new Promise<void>(() => {});
      }
      for (const heap: unknown[] = []; ; ) heap.push(new Array(100_000).fill(heap.length));
    });
  }
}

@JobHandler(BlockingLedger)
export class BlockingLedgerHandler implements Handler<typeof BlockingLedger> {
  handle(job: JobContext<typeof BlockingLedger>) {
    return recorded(job, () => {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, job.payload.ms);
    });
  }
}

@JobHandler(EndlessLedger)
export class EndlessLedgerHandler implements Handler<typeof EndlessLedger> {
  handle(job: JobContext<typeof EndlessLedger>) {
    return recorded(job, () => {
      if (process.env.FAULTS_ENDLESS) return new Promise<void>(() => {});
    });
  }
}

@JobHandler(VersionedLedger)
export class VersionedLedgerHandler implements Handler<typeof VersionedLedger> {
  async handle(job: JobContext<typeof VersionedLedger>) {
    await recorded(job, () => {
      if (job.attempt === 1 && job.payload.n % 10 === 0)
        throw new Error('The first attempt fails, as it should');
    });
    return job.payload;
  }
}

@JobHandler(FollowingLedger)
export class FollowingLedgerHandler implements Handler<typeof FollowingLedger> {
  handle(job: JobContext<typeof FollowingLedger>) {
    return recorded(job, () => {
      VersionedLedger.result.parse(job.previous?.result);
    });
  }
}

@JobHandler(RenamedLedger)
export class RenamedLedgerHandler implements Handler<typeof RenamedLedger> {
  handle(job: JobContext<typeof RenamedLedger>) {
    return recorded(job, () => {});
  }
}
