import { existsSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import * as contracts from '#contracts';
import { type AnyContract, defineJob } from '#jobs';
import { addTrigger } from './generate/keda.js';
import { namesOf } from './generate/names.js';
import { contractFile, handlerFile, scheduleFile, testFile } from './generate/templates.js';
import { edit, folders, indexes, Refusal, runCommand, tidy } from './generate/tree.js';

/** `npm run generate`: writes a new kind of job, registered and ready to be filled in. */

const USAGE = `Usage:
  npm run generate -- handler invoice.render     a contract, its handler and a test
  npm run generate -- schedule nightly.sync      the same for a job that runs by the clock; its schedule alone where
                                                 there is such a contract already`;

/** Writes what is asked for and says what it wrote. @throws Refusal, before anything is written. */
export function generate([kind, name, ...rest]: string[]): void {
  if ((kind !== 'handler' && kind !== 'schedule') || !name || rest.length > 0) throw new Refusal(USAGE);
  const names = checkedNames(name);
  const isScheduled = kind === 'schedule';
  const existing = Object.entries<AnyContract>(contracts).find(([, contract]) => contract.name === name);

  const files: Record<string, string> = {};
  const registrations: [index: string, exported: string, from: string][] = [];
  if (!existing) {
    const handler = `${folders.handlers}/${names.handlerFile}.handler`;
    files[`${folders.contracts}/${name}.ts`] = contractFile(name, names, isScheduled);
    files[`${handler}.ts`] = handlerFile(name, names, isScheduled);
    files[`${handler}.test.ts`] = testFile(name, names, isScheduled);
    registrations.push([indexes.contracts, names.contract, `./${name}.js`]);
    registrations.push([indexes.handlers, `${names.contract}Handler`, `./${names.handlerFile}.handler.js`]);
  } else if (!isScheduled) {
    throw new Refusal(`There is a job ${name} already, in ${folders.contracts}: choose another name`);
  }
  if (isScheduled) {
    const [contract, { payload }] = existing ?? [names.contract, { payload: z.object({}) }];
    checkSchedule(name, payload);
    files[`${folders.schedules}/${name}.ts`] = scheduleFile(name, names.schedule, contract);
    registrations.push([indexes.schedules, names.schedule, `./schedules/${name}.js`]);
  }

  const taken = Object.keys(files).find((file) => existsSync(file));
  if (taken) throw new Refusal(`${taken} is there already: choose another name`);
  for (const [file, content] of Object.entries(files)) {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
  }
  for (const [index, exported, from] of registrations)
    edit(index, (text) => `${text.replace('export {};\n', '')}export { ${exported} } from '${from}';\n`);
  const trigger = existing ? undefined : addTrigger(names.queue);
  tidy([...Object.keys(files), ...registrations.map(([index]) => index), ...(trigger ? [trigger] : [])]);

  console.log(
    `Wrote ${Object.keys(files).join('\n      ')}\nand registered them${trigger ? `, the queue also in ${trigger}` : ''}. Next:`,
  );
  if (!existing) {
    console.log(`- say in the contract what a job is told and returns, and do the work in the handler;`);
    if (isScheduled) console.log('- say in the schedule when it runs;');
    console.log(`- npm test -- ${names.handlerFile}`);
    console.log('- npm run describe, which writes it into docs/asyncapi.json and docs/openapi.json;');
    console.log(`- npm run migrate, which declares the queue "${names.queue}".`);
  } else console.log('- say in the schedule when it runs.');
}

function checkedNames(name: string): ReturnType<typeof namesOf> {
  try {
    // Whatever rules names have, contracts say themselves.
    defineJob({ name, queue: 'any', payload: z.object({}) });
    return namesOf(name);
  } catch (error) {
    throw new Refusal((error as Error).message);
  }
}

function checkSchedule(name: string, payload: z.ZodType): void {
  if (!existsSync(indexes.schedules)) throw new Refusal('There are no schedules here: they were removed');
  if (!payload.safeParse({}).success) {
    throw new Refusal(
      `The job ${name} is there, and its payload needs something that a generator cannot know: write its schedule by ` +
        `hand, as docs/schedules.md shows`,
    );
  }
}

if (process.argv[1] && realpathSync(process.argv[1]) === import.meta.filename) await runCommand(generate);
