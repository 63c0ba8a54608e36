import { type JobContext, JobHandler } from '#jobs';
import { Leak, LeakIsolated } from './contracts.js';

/** Tells everybody what it should keep to itself, and then ends as it is asked to. */
async function leak(job: JobContext<typeof Leak | typeof LeakIsolated>) {
  const { payload, log, progress, previous } = job;
  const { card, login } = payload;
  const voucher = (previous?.result as { voucher?: string } | undefined)?.voucher;
  log.info({ payload, context: job, deep: [{ payload }] }, 'payload');
  log.info({ ...login, note: `the card ${card} in a field` }, `the card ${card}, login ${login?.password}`);
  log.child({ ...login, card }).warn(new Error(`the card ${card}`), 'child');
  log.error(
    new Error(`the card ${card}, before ${voucher}`, { cause: new Error(`login ${login?.password}`) }),
  );
  progress(0.5, `the card ${card}`);
  // Long enough for the progress to be written.
  await new Promise((resolve) => setTimeout(resolve, 700));
  const result = { voucher: `voucher-${card}`, token: 'a token for the client' };
  switch (payload.how) {
    case 'throw':
      throw new Error(`charging ${JSON.stringify(payload)} failed, before ${voucher}`);
    case 'misfit':
      return { ...result, voucher: card };
    default:
      return result;
  }
}

@JobHandler(Leak)
export class LeakHandler {
  handle(job: JobContext<typeof Leak>) {
    return leak(job);
  }
}

@JobHandler(LeakIsolated, { isolated: true })
export class LeakIsolatedHandler {
  handle(job: JobContext<typeof LeakIsolated>) {
    return leak(job);
  }
}
