import {
  type AnyContract,
  invoke,
  type JobContext,
  JobTransport,
  NoHandlerError,
  parseOrThrow,
  type Returned,
  returned,
} from '#jobs';

/** A thread's counterpart of the `JobServer`: Nest finds and wraps the handlers for it; its jobs come from the worker. */
export class IsolatedServer extends JobTransport {
  get contracts(): string[] {
    return [...this.getHandlers().keys()];
  }

  /**
   * Runs a job, from the payload's JSON to the result's.
   *
   * @throws what the handler throws, or what is wrong with payload or result.
   */
  async run(job: Omit<JobContext, 'payload'>, payload: string, maxBytes: number): Promise<Returned> {
    const handler = this.getHandlers().get(job.name);
    if (!handler) throw new NoHandlerError(job.name);
    const { contract } = handler.extras as { contract: AnyContract };
    const checked = parseOrThrow(contract, 'payload', JSON.parse(payload));
    return returned(contract, await invoke(handler, Object.assign(job, { payload: checked })), maxBytes);
  }

  listen(callback: () => void): void {
    callback();
  }
}
