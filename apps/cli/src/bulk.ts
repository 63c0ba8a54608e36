import { type Command, Option } from 'commander';
import { type JobState, jobStates } from '#define-job';
import type { PayloadEdit } from '#jobs';
import type { Done, JobFilter, RateOptions } from '#records';
import { type Bulk, confirm, mustBeMeant } from './confirm.js';
import { Failure, notFound, wrongUse } from './exit.js';
import { mustBeKnown } from './known.js';
import { answer, progressBar, say } from './output.js';
import { type Common, stopIf, withTools } from './run.js';
import type { Tools } from './tools.js';
import { readCount, readIds, readJson, readTime } from './values.js';

/** Options of commands that do something to many jobs. */
export interface BulkOptions extends Common, Bulk {
  queue?: string;
  name?: string;
  tag?: string;
  where?: string;
  state?: JobState;
  error?: string;
  from?: Date;
  to?: Date;
  perSecond?: number;
  payload?: string;
  patch?: string;
}

/** What such a command does. */
export interface BulkCommand {
  action: string;
  /** What it is called before, while and after it is done. */
  words: readonly [ask: string, doing: string, done: string];
  /** What it is done to; of the audit line, too. */
  noun: string;
  subject: string;
  /** Why it leaves some out. */
  leftOut?: string;
  count(tools: Tools, filter: JobFilter): Promise<number>;
  act(tools: Tools, filter: JobFilter, change: RateOptions, edit: PayloadEdit): Promise<Done>;
}

/** @param happened what the times of the filter are about. */
export const withFilter = (command: Command, happened: string): Command =>
  command
    .option('--queue <queue>', 'of this queue')
    .option('--name <name>', 'of this contract')
    .option('--tag <tag>', 'with this tag')
    .option('--where <pointer:value>', 'whose payload has this, such as /customer/id:42')
    .option('--error <text>', 'whose last error has this in its message')
    .option('--from <time>', `that ${happened} then or later`, readTime)
    .option('--to <time>', `that ${happened} before then`, readTime);

export const withSelection = (command: Command, happened: string): Command =>
  withFilter(command, happened)
    .argument('[ids...]', '', readIds)
    .option('--all', 'all of them')
    .option('--yes', 'do not ask');

export const withState = (command: Command): Command =>
  command.addOption(new Option('--state <state>').choices(jobStates));

export const withRate = (command: Command): Command =>
  command.option(
    '--per-second <number>',
    'jobs that come in each second (default: 1000)',
    readCount(100_000),
  );

export const withEdit = (command: Command): Command =>
  withRate(command)
    .option('--payload <json>', 'with this payload, of one id')
    .option('--patch <json>', 'with what this JSON Merge Patch makes of each payload');

export async function filterOf(options: BulkOptions): Promise<JobFilter> {
  const { queue, name, tag, where, state, error, from, to } = options;
  const { readWhere } = await import('#records');
  return {
    queue,
    name,
    tag,
    state,
    error,
    from,
    to,
    where: where === undefined ? undefined : readWhere(where),
  };
}

/** Reads what payloads are to become. */
export async function editOf(ids: string[], { payload, patch }: BulkOptions): Promise<PayloadEdit> {
  if (payload !== undefined && (ids.length !== 1 || patch !== undefined))
    throw wrongUse('--payload is for one id, and excludes --patch');
  return {
    payload: payload === undefined ? undefined : await readJson(payload),
    patch: patch === undefined ? undefined : await readJson(patch),
  };
}

/** Says how many jobs are meant, asks, and does it. */
export async function actOn(ids: string[], options: BulkOptions, command: BulkCommand): Promise<void> {
  const given = await filterOf(options);
  mustBeMeant(ids.length > 0 || Object.values(given).some((value) => value !== undefined), options);
  const edit = await editOf(ids, options);
  await withTools((tools, signal) => change(tools, signal, ids, given, options, command, edit));
}

async function change(
  tools: Tools,
  signal: AbortSignal,
  ids: string[],
  given: JobFilter,
  options: BulkOptions,
  command: BulkCommand,
  edit: PayloadEdit,
): Promise<void> {
  const { counted } = await import('#config');
  const { words, noun, action, subject, act } = command;
  const [ask, doing, done] = words;
  const { filter, total } = await meant(tools, ids, given, command);
  if (filter.ids && total < filter.ids.length)
    say(`Of the ids, ${counted(filter.ids.length - total, 'is', 'are')} not of a ${noun} that fits`);
  if (!filter.ids) await confirm(`${ask} ${counted(total, noun)}?`, options);

  const bar = progressBar(doing, total);
  const rate = { perSecond: options.perSecond, signal, onProgress: bar.show };
  const edited = Object.values(edit).some((value) => value !== undefined) && { edited: true };
  const about = JSON.stringify({ ids: filter.ids, ...given, ...edited });
  const { count, leftOut = 0 } = await tools
    .audited(`${subject}.${action}`, about, () => act(tools, filter, rate, edit))
    .finally(bar.end);
  const others = `left out ${leftOut}: ${command.leftOut}`;
  if (count === 0 && leftOut > 0) throw new Failure(`${done} nothing, ${others}`);
  stopIf(signal, `${done} ${count} of ${counted(total, noun)}; the same command goes on with the rest`);
  answer(
    options,
    leftOut > 0 ? { count, leftOut } : { count },
    () => `${done} ${counted(count, noun)}${leftOut > 0 ? `; ${others}` : ''}`,
  );
}

/** Selects and counts what is there until now: what comes later was not confirmed. */
async function meant(
  tools: Tools,
  ids: string[],
  given: JobFilter,
  { count, noun }: BulkCommand,
): Promise<{ filter: JobFilter; total: number }> {
  const filter = {
    ...given,
    ids: ids.length > 0 ? [...new Set(ids)] : undefined,
    to: given.to ?? (await tools.dead.now()),
  };
  const total = await count(tools, filter);
  if (total === 0) await mustBeKnown(tools, given);
  if (total === 0) throw notFound(`No ${noun} fits`);
  return { filter, total };
}
