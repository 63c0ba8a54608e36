import type { Command } from 'commander';
import { actOn, type BulkOptions, filterOf, withEdit, withFilter, withSelection } from './bulk.js';
import { mustBeKnown } from './known.js';
import { answer, table } from './output.js';
import { command, withTools } from './run.js';
import type { Tools } from './tools.js';

const what = {
  noun: 'dead letter',
  subject: 'dead-letters',
  count: ({ dead }: Tools, filter: Parameters<Tools['dead']['count']>[0]) => dead.count(filter),
} as const;
const held = 'another job holds their unique key, or their payload does not fit then';

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
    'died',
  ).action((options: BulkOptions) => withTools((tools) => groups(tools, options)));

  withEdit(
    withSelection(
      command(
        program,
        'replay',
        'send dead letters back to work, attempts counted from zero',
        'replay 01890a5d-ac96-774b-bcce-b302099a8057',
        'replay --queue email --error ECONNREFUSED --per-second 50',
        'replay --where /customer/id:42 --patch \'{"currency":"EUR"}\'',
        'replay --all --yes',
      ),
      'died',
    ),
  ).action((ids: string[], options: BulkOptions) =>
    actOn(ids, options, {
      ...what,
      ...{ action: 'replay', words: ['Replay', 'Replaying', 'Replayed'], leftOut: held },
      act: async ({ dead, jobs }, filter, change, edit) =>
        dead.replayAll(filter, { ...change, edit: jobs.editOf(edit, filter.ids?.length === 1) }),
    }),
  );

  withSelection(
    command(
      program,
      'discard',
      'give dead letters up for good; their records stay until they are pruned',
      'discard 01890a5d-ac96-774b-bcce-b302099a8057',
      'discard --name webhook.deliver --to 2027-01-31T00:00:00Z',
    ),
    'died',
  ).action((ids: string[], options: BulkOptions) =>
    actOn(ids, options, {
      ...what,
      ...{ action: 'discard', words: ['Discard', 'Discarding', 'Discarded'] },
      act: async ({ dead }, filter, change) => ({ count: await dead.discard(filter, change) }),
    }),
  );
}

async function groups(tools: Tools, options: BulkOptions): Promise<void> {
  const { counted } = await import('#config');
  const { count, groups } = await tools.dead.groups(await filterOf(options));
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
