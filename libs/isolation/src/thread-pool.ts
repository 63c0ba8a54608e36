import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { Isolation, type JobContext } from '#jobs';
import { type IsolationOptions, MODULE_OPTIONS_TOKEN } from './isolation.module-definition.js';
import { Thread } from './thread.js';

/** A burst finds its threads again; after it they give back their memory and their connections. */
const IDLE_MS = 30_000;

/**
 * The threads of a worker. One is started when a job finds none that is free, so there are never more than isolated
 * jobs at hand, which the prefetch of their queues limits; nothing ever waits here.
 */
@Injectable()
export class ThreadPool extends Isolation implements OnApplicationShutdown {
  private readonly threads = new Set<Thread>();
  /** Threads that wait for a job, the one used last at the end, each with the timer that ends it. */
  private readonly idle = new Map<Thread, NodeJS.Timeout>();

  constructor(@Inject(MODULE_OPTIONS_TOKEN) private readonly options: IsolationOptions) {
    super();
  }

  async run(job: JobContext): Promise<unknown> {
    const thread = this.takeIdle() ?? this.start();
    try {
      return await thread.run(job);
    } finally {
      if (thread.isAlive) this.keep(thread);
    }
  }

  /** Nest calls it last, when the jobs at hand are done or given back. */
  async onApplicationShutdown(): Promise<void> {
    for (const timer of this.idle.values()) clearTimeout(timer);
    this.idle.clear();
    await Promise.all([...this.threads].map((thread) => thread.close()));
  }

  private start(): Thread {
    const thread = new Thread(this.options);
    this.threads.add(thread);
    void thread.gone.then((crash) => {
      this.threads.delete(thread);
      // What a job left behind, a promise for example, ended its thread when it was done. No attempt fails by it.
      if (this.forget(thread)) this.options.log.warn({ err: crash }, 'A thread that did nothing ended');
    });
    return thread;
  }

  /** The one used last, so that those which are not needed any more come to their end. */
  private takeIdle(): Thread | undefined {
    const thread = [...this.idle.keys()].at(-1);
    if (thread) this.forget(thread);
    return thread;
  }

  private keep(thread: Thread): void {
    const end = () => {
      this.idle.delete(thread);
      void thread.close();
    };
    this.idle.set(thread, setTimeout(end, this.options.idleMs ?? IDLE_MS).unref());
  }

  private forget(thread: Thread): boolean {
    clearTimeout(this.idle.get(thread));
    return this.idle.delete(thread);
  }
}
