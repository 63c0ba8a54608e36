import { type Handler, type JobContext, JobHandler } from '#jobs';
import { Measured } from './contracts.js';
import { Tally } from './tally.js';

const tally = new Tally().serve();

/** Does nothing but count: what is measured is all that happens around a handler. */
@JobHandler(Measured)
export class MeasuredHandler implements Handler<typeof Measured> {
  async handle({ payload }: JobContext<typeof Measured>) {
    tally.count(payload.at);
  }
}
