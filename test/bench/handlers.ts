import { type Handler, type JobContext, JobHandler } from '#jobs';
import { Computing, Measured } from './contracts.js';
import { handlerOf } from './measured.handler.js';

export const MeasuredHandler = handlerOf(Measured);

@JobHandler(Computing)
export class ComputingHandler implements Handler<typeof Computing> {
  async handle({ payload: { ms } }: JobContext<typeof Computing>) {
    for (const until = performance.now() + ms; performance.now() < until; );
  }
}
