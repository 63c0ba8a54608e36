import type { Command } from 'commander';
import type { ForeignLetterView } from '#records';
import { type Bulk, confirm, mustBeMeant } from './confirm.js';
import { notFound } from './exit.js';
import { mustBeKnown } from './known.js';
import { answer, clean, table, toJson } from './output.js';
import { type Common, command, withTools } from './run.js';
import type { Tools } from './tools.js';
import { readCount } from './values.js';

/** Where the broker puts what no queue takes. */
const UNROUTABLE = 'jobs.unroutable';

interface ListOptions extends Common {
  queue?: string;
  limit: number;
}
interface DeedOptions extends Common, Bulk {
  queue?: string;
}

/** Messages that no record stands for, because they could not be understood or no queue took them. */
export function addForeignLetters(program: Command): void {
  const foreign = program.command('foreign').description('look after messages that no record stands for');

  command(foreign, 'list', 'list them', 'foreign list --queue email')
    .option('--queue <queue>', 'of this queue; jobs.unroutable for what no queue took')
    .option('--limit <number>', 'at most so many', readCount(1_000), 50)
    .action((options: ListOptions) => withTools((tools) => list(tools, options)));

  command(
    foreign,
    'show <id>',
    'show one: properties, headers, and the first 4 KiB of its body',
    'foreign show 5f1c…',
  ).action((id: string, options: Common) => withTools((tools) => show(tools, id, options)));

  for (const [deed, description] of [
    ['replay', 'publish them again to where they came from'],
    ['discard', 'throw them away'],
  ] as const) {
    command(
      foreign,
      `${deed} [ids...]`,
      description,
      `foreign ${deed} 5f1c…`,
      `foreign ${deed} --queue email`,
    )
      .option('--queue <queue>', 'all of this queue')
      .option('--all', 'all of them')
      .option('--yes', 'do not ask')
      .action(async (ids: string[], options: DeedOptions) => {
        mustBeMeant(ids.length > 0 || options.queue !== undefined, options);
        await withTools((tools) => wish(tools, deed, ids, options));
      });
  }
}

async function list(tools: Tools, { queue, limit, ...options }: ListOptions): Promise<void> {
  const letters = await tools.foreign.list({ queue }, { limit });
  if (letters.length === 0 && queue !== UNROUTABLE) await mustBeKnown(tools, { queue });
  const { showBody } = await import('#records');
  answer(options, { items: letters.map(({ body, ...letter }) => ({ ...letter, ...showBody(body) })) }, () =>
    table(
      ['ID', 'QUEUE', 'COPIES', 'BYTES', 'FOUND', 'WISH', 'REASON'],
      letters.map(({ id, queue, copies, size, foundAt, wish, reason }) => [
        ...[id, queue, copies, size, foundAt, wish, reason],
      ]),
    ),
  );
}

async function show({ foreign }: Tools, id: string, options: Common): Promise<void> {
  const { showBody } = await import('#records');
  const letters = await foreign.list({ ids: [id] }, { limit: 100 });
  if (letters.length === 0) throw notFound(`No such letter is known: ${clean(id)}`);
  const shown = letters.map(({ body, ...letter }) => ({ ...letter, ...showBody(body) }));
  answer(options, { items: shown }, () => shown.map(describe).join('\n\n'));
}

function describe({
  id,
  queue,
  copies,
  size,
  foundAt,
  reason,
  properties,
  headers,
  body,
  encoding,
}: Omit<ForeignLetterView, 'body'> & { body: string; encoding: string }): string {
  return [
    `id          ${id}`,
    `queue       ${clean(queue)}, ${copies === 1 ? 'once' : `${copies} times`}, since ${foundAt.toISOString()}`,
    `reason      ${clean(reason)}`,
    `properties  ${toJson(properties)}`,
    `headers     ${toJson(headers)}`,
    `body        ${size} bytes${encoding === 'hex' ? ', in hexadecimal' : ''}`,
    clean(body),
  ].join('\n');
}

async function wish(
  tools: Tools,
  deed: 'replay' | 'discard',
  ids: string[],
  options: DeedOptions,
): Promise<void> {
  const { counted } = await import('#config');
  const { foreign, deed: answerable } = tools;
  const filter = { queue: options.queue, ids: ids.length > 0 ? ids : undefined };
  const total = await foreign.count(filter);
  if (total === 0 && filter.queue !== UNROUTABLE) await mustBeKnown(tools, filter);
  if (total === 0) throw notFound('No letter fits');
  if (ids.length === 0)
    await confirm(
      `${deed === 'replay' ? 'Replay' : 'Discard'} ${counted(total, 'foreign letter')}?`,
      options,
    );
  const count = await answerable(`foreign-letters.${deed}`, JSON.stringify(filter), () =>
    foreign.wish(deed, filter),
  );
  answer(
    options,
    { count },
    () =>
      `${counted(count, 'letter')} will be ${deed === 'replay' ? 'replayed' : 'discarded'}; a worker does it within seconds`,
  );
}
