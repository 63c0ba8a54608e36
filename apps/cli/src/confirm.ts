import { createInterface } from 'node:readline/promises';
import { Failure, wrongUse } from './exit.js';

/** Options of commands that act on many. */
export interface Bulk {
  all?: boolean;
  yes?: boolean;
}

/** Requires an explicit selection: either ids or a filter, or --all. @throws Failure */
export function mustBeMeant(isFiltered: boolean, { all }: Bulk): void {
  if (isFiltered && all) throw wrongUse('--all excludes ids and filters');
  if (!isFiltered && !all) throw wrongUse('Say which: ids, a filter, or --all');
}

/** Asks for confirmation on a terminal; elsewhere it requires --yes. @throws Failure */
export async function confirm(question: string, { yes }: Bulk): Promise<void> {
  if (yes) return;
  if (!process.stdin.isTTY)
    throw wrongUse(`${question} Standard input is not a terminal: add --yes to confirm`);
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  // Without a listener Ctrl-C would only close the question.
  terminal.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  const said = await terminal.question(`${question} [y/N] `).finally(() => terminal.close());
  if (!/^y(es)?$/i.test(said.trim())) throw new Failure('Nothing was done');
}
