import type { Names } from './names.js';

/** The contract of a new kind of job. One that is scheduled has nothing to be told. */
export const contractFile = (name: string, { contract, queue }: Names, isScheduled: boolean) => `\
import { z } from 'zod';
import { defineJob } from '#define-job';

/** What ${name} is for, in a sentence. */
export const ${contract} = defineJob({
  name: '${name}',
  queue: '${queue}',
  payload: z.object({${isScheduled ? '' : ' id: z.string().min(1) '}}),
  result: z.object({ done: z.int() }),
  retry: ['5s', '30s', '2m', '10m'],
  timeout: '30s',
});
`;

/** Its handler. */
export const handlerFile = (name: string, { contract }: Names, isScheduled: boolean) => `\
import { ${contract} } from '#contracts';
import { type Handler, type JobContext, JobHandler } from '#jobs';

/** How ${name} is done. May run more than once for a job: what it does twice must be as good as done once. */
@JobHandler(${contract})
export class ${contract}Handler implements Handler<typeof ${contract}> {
  async handle({ ${isScheduled ? '' : 'payload, '}signal, progress, log }: JobContext<typeof ${contract}>) {
    signal.throwIfAborted();
    log.info(${isScheduled ? "'At work'" : "{ of: payload.id }, 'At work'"});
    progress(1);
    return { done: 1 };
  }
}
`;

/** Its test, which passes as it is. */
export const testFile = (name: string, { contract, handlerFile }: Names, isScheduled: boolean) => `\
import { expect, test } from '@jest/globals';
import { ${contract} } from '#contracts';
import { runJob } from '#testing';
import { ${contract}Handler } from './${handlerFile}.handler.js';

test('${name} does its work', async () => {
  const run = await runJob(${contract}, new ${contract}Handler(), {${isScheduled ? '' : " id: '1' "}});
  expect(run).toMatchObject({ state: 'succeeded', result: { done: 1 } });
});
`;

/** When a job of a contract is enqueued again and again. */
export const scheduleFile = (name: string, schedule: string, contract: string) => `\
import { defineSchedule } from '#schedules';
import { ${contract} } from '../${name}.js';

/** Minute, hour, day of the month, month, day of the week: docs/schedules.md has the rest. */
export const ${schedule} = defineSchedule({
  name: '${name}',
  cron: '0 3 * * *',
  job: ${contract},
  payload: {},
  overlap: 'skip',
});
`;
