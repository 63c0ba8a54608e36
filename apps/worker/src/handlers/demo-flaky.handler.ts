import { DemoFlaky } from '#contracts';
import { type Handler, type JobContext, JobHandler } from '#jobs';

/** Fails as often as its payload asks for, then works: to see retries and dead letters with. */
@JobHandler(DemoFlaky)
export class DemoFlakyHandler implements Handler<typeof DemoFlaky> {
  handle({ attempt, payload: { failures } }: JobContext<typeof DemoFlaky>) {
    if (attempt <= failures)
      throw new Error(`Attempt ${attempt} fails on purpose, as the first ${failures} do`);
    return { attempts: attempt };
  }
}
