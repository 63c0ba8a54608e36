import { type AnyContract, type BatchHandler, type Handler, invoke, JobTransport, resultOf } from '#jobs';
import { hasEnded } from '#records';
import { callOne, MemoryWorker } from './memory-worker.js';
import { RecordingJobs } from './recording-jobs.js';

/** A job that snoozes this often waits for something that does not come while nobody waits. */
const MAX_RUNS = 1_000;

/**
 * A stand-in for `Jobs` that runs what is enqueued at once: every attempt, one after the other and with no waiting in
 * between, then the job that follows it. When `enqueue` resolves the job has come to its end; like the real one it
 * does not throw when the job fails, `find` tells.
 *
 * ```ts
 * const jobs = new InlineJobs(contracts).handle(SendEmail, new SendEmailHandler(mailer));
 * const { id } = await jobs.enqueue(SendEmail, { to, subject, text });
 * expect(await jobs.find(id)).toMatchObject({ state: 'succeeded', attempt: 1 });
 * ```
 *
 * In a Nest application handlers are found among its controllers, and run with their guards, pipes, interceptors and
 * filters:
 *
 * ```ts
 * app.connectMicroservice({ strategy: jobs.server }, { inheritAppConfig: true });
 * await app.startAllMicroservices();
 * ```
 *
 * Delays, snoozes and times to run are as good as over; limits do not hold; an isolated handler runs in this thread.
 */
export class InlineJobs extends RecordingJobs {
  private readonly worker = new MemoryWorker(this.known, this.memory, this);

  constructor(contracts: ConstructorParameters<typeof RecordingJobs>[0]) {
    super(contracts);
    this.memory.onAccepted = (id) => this.finish(id);
  }

  /** Runs the jobs of a contract by a handler made without Nest. */
  handle<C extends AnyContract>(contract: C, handler: Handler<C>): this;
  handle<C extends AnyContract>(contract: C, handler: BatchHandler<C>): this;
  handle<C extends AnyContract>(contract: C, handler: Handler<C> | BatchHandler<C>): this {
    this.worker.register(contract, (job) => callOne(handler, job));
    return this;
  }

  /** The transport that stands for the `JobServer`. */
  readonly server = new InlineServer((contract, run) => this.worker.register(contract, run));

  /** Runs a job to its end, and what follows it. A handler that enqueues jobs itself runs them within its own attempt. */
  private async finish(id: string): Promise<void> {
    const job = this.memory.get(id);
    for (let runs = 0; !hasEnded(job.state) && job.state !== 'running'; runs++) {
      if (runs === MAX_RUNS)
        throw new Error(`${job.accepted.name} was put off ${MAX_RUNS} times: what does it wait for?`);
      await this.worker.attempt(id);
    }
    if (job.state === 'succeeded' && job.accepted.next) await this.finish(job.accepted.next.id);
    if (job.state === 'dead' && job.onDead) await this.finish(job.onDead);
  }
}

/** Gives the handlers that Nest finds, wrapped in what Nest wraps them in, to what runs them. */
class InlineServer extends JobTransport {
  constructor(private readonly register: MemoryWorker['register']) {
    super();
  }

  listen(callback: () => void): void {
    for (const handler of this.getHandlers().values()) {
      const { contract, batch } = handler.extras as { contract: AnyContract; batch?: object };
      this.register(contract, async (job) =>
        batch ? resultOf(await invoke(handler, [job]), job) : invoke(handler, job),
      );
    }
    callback();
  }
}
