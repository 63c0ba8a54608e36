import { type Handler, type JobContext, JobHandler } from '#jobs';
import { countStatements } from './count-statements.js';
import type { measured } from './measured.contract.js';
import { Tally } from './tally.js';

type Measured = ReturnType<typeof measured>;

if (process.env.BENCH_STATEMENTS) countStatements();
const tally = new Tally().serve();

/** A handler that does nothing but count: what is measured is all that happens around one. */
export function handlerOf(contract: Measured) {
  @JobHandler(contract)
  class MeasuredHandler implements Handler<Measured> {
    async handle({ payload }: JobContext<Measured>) {
      tally.count(payload.at);
    }
  }
  return MeasuredHandler;
}
