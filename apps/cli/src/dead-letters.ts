import type { Command } from 'commander';
import type { DeadLetterFilter, Done } from '#records';
import { type Bulk, confirm, mustBeMeant } from './confirm.js';
import { Failure, notFound } from './exit.js';
import { mustBeKnown } from './known.js';
import { answer, progressBar, say, table } from './output.js';
import { type Common, command, stopIf, withTools } from './run.js';
import type { Tools } from './tools.js';
import { readCount, readIds, readTime } from './values.js';

interface ActionOptions extends Common, Bulk, Omit<DeadLetterFilter, 'ids' | 'errorForm'> {
  perSecond?: number;
}

const actions = {
  replay: { ask: 'Replay', doing: 'Replaying', done: 'Replayed' },
  discard: { ask: 'Discard', doing: 'Discarding', done: 'Discarded' },
} as const;

/** Adds the commands dead, replay and discard. */
export function addDeadLetters(program: Command): void {
  withFilter(
    command(
      program,
      'dead',
      'count dead letters, by what they died of',
      'dead',
      'dead --queue email --from 2027-01-31',
    ),
  ).action((options: ActionOptions) => withTools((tools) => groups(tools, options)));

  withFilter(
    command(
      program,
      'replay',
      'send dead letters back to work, attempts counted from zero',
      'replay 01890a5d-ac96-774b-bcce-b302099a8057',
      'replay --queue email --error ECONNREFUSED --per-second 50',
      'replay --all --yes',
    ),
  )
    .argument('[ids...]', '', readIds)
    .option('--all', 'all dead letters')
    .option('--yes', 'do not ask')
    .option('--per-second <number>', 'jobs that come back in each second (default: 1000)', readCount(100_000))
    .action((ids: string[], options: ActionOptions) => run('replay', ids, options));

  withFilter(
    command(
      program,
      'discard',
      'give dead letters up for good; their records stay until they are pruned',
      'discard 01890a5d-ac96-774b-bcce-b302099a8057',
      'discard --name webhook.deliver --to 2027-01-31T00:00:00Z',
    ),
  )
    .argument('[ids...]', '', readIds)
    .option('--all', 'all dead letters')
    .option('--yes', 'do not ask')
    .action((ids: string[], options: ActionOptions) => run('discard', ids, options));
}

const withFilter = (command: Command): Command =>
  command
    .option('--queue <queue>', 'of this queue')
    .option('--name <name>', 'of this contract')
    .option('--error <text>', 'whose last error has this in its message')
    .option('--from <time>', 'that died then or later', readTime)
    .option('--to <time>', 'that died before then', readTime);

async function groups(tools: Tools, options: ActionOptions): Promise<void> {
  const { counted } = await import('#config');
  const { count, groups } = await tools.dead.groups(filterOf(options));
  if (count === 0) await mustBeKnown(tools, options);
  answer(options, { count, groups }, () =>
    [
      table(
        ['COUNT', 'QUEUE', 'NAME', 'NEWEST', 'ERROR'],
        groups.map(({ count, queue, name, newest, errorForm }) => [count, queue, name, newest, errorForm]),
      ),
      counted(count, 'dead letter'),
    ].join('\n'),
  );
}

async function run(action: keyof typeof actions, ids: string[], options: ActionOptions): Promise<void> {
  const isFiltered = Object.values(filterOf(options)).some((value) => value !== undefined);
  mustBeMeant(ids.length > 0 || isFiltered, options);
  await withTools((tools, signal) => change(tools, signal, action, ids, options));
}

async function change(
  tools: Tools,
  signal: AbortSignal,
  action: keyof typeof actions,
  ids: string[],
  options: ActionOptions,
): Promise<void> {
  const { counted } = await import('#config');
  const { filter, total } = await meant(tools, ids, options);
  const { ask, doing, done } = actions[action];
  if (filter.ids && total < filter.ids.length)
    say(`Of the ids, ${counted(filter.ids.length - total, 'is', 'are')} not of a dead letter that fits`);
  if (!filter.ids) await confirm(`${ask} ${counted(total, 'dead letter')}?`, options);

  const bar = progressBar(doing, total);
  const { dead, audited } = tools;
  const change = { perSecond: options.perSecond, signal, onProgress: bar.show };
  const subject = JSON.stringify({ ids: filter.ids, ...filterOf(options) });
  const act = async (): Promise<Done> =>
    action === 'replay' ? dead.replayAll(filter, change) : { count: await dead.discard(filter, change) };
  const { count, leftOut = 0 } = await audited(`dead-letters.${action}`, subject, act).finally(bar.end);
  const held = `left out ${leftOut}: another job holds their unique key`;
  if (count === 0 && leftOut > 0) throw new Failure(`${done} nothing, ${held}`);
  stopIf(
    signal,
    `${done} ${count} of ${counted(total, 'dead letter')}; the same command goes on with the rest`,
  );
  answer(
    options,
    leftOut > 0 ? { count, leftOut } : { count },
    () => `${done} ${counted(count, 'dead letter')}${leftOut > 0 ? `; ${held}` : ''}`,
  );
}

/** Selects and counts letters that died until now: those that die later were not confirmed. */
async function meant(tools: Tools, ids: string[], options: ActionOptions) {
  const given = filterOf(options);
  const filter = {
    ...given,
    ids: ids.length > 0 ? [...new Set(ids)] : undefined,
    to: given.to ?? (await tools.dead.now()),
  };
  const total = await tools.dead.count(filter);
  if (total === 0) await mustBeKnown(tools, given);
  if (total === 0) throw notFound('No dead letter fits');
  return { filter, total };
}

const filterOf = ({ queue, name, error, from, to }: ActionOptions): DeadLetterFilter => ({
  ...{ queue, name, error, from, to },
});
