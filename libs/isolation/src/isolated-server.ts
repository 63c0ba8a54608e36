import { type CustomTransportStrategy, Server } from '@nestjs/microservices';
import { invoke, JOB_TRANSPORT, type JobContext, NonRetryableError } from '#jobs';

/**
 * A thread's counterpart of the `JobServer`: Nest finds the handlers for it and wraps them in their guards, pipes,
 * interceptors and filters, just as in the worker. It consumes nothing; its jobs come from the worker.
 */
export class IsolatedServer extends Server implements CustomTransportStrategy {
  override readonly transportId = JOB_TRANSPORT;
  override readonly propagatesEventHandlerErrors = true;

  /** @throws what the handler throws. */
  async run(job: JobContext): Promise<unknown> {
    const handler = this.getHandlers().get(job.name);
    if (!handler) {
      throw new NonRetryableError(
        `No isolated handler for ${job.name}: is its class among the controllers of the isolated module?`,
      );
    }
    return invoke(handler, job);
  }

  listen(callback: () => void): void {
    callback();
  }

  close(): void {}

  on(): never {
    throw new Error('IsolatedServer has no events of its own to listen to');
  }

  unwrap<T>(): T {
    return this as unknown as T;
  }
}
