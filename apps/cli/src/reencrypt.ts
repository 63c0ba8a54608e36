import type { Command } from 'commander';
import { Failure } from './exit.js';
import { answer, say } from './output.js';
import { type Common, command, withTools } from './run.js';
import type { Tools } from './tools.js';

/** Adds the command reencrypt. */
export function addReencrypt(program: Command): void {
  command(
    program,
    'reencrypt',
    'encrypt with the first of ENCRYPTION_KEYS what records hold under older ones',
    'reencrypt',
  )
    .addHelpText(
      'after',
      '\nSafe at any time, twice, or killed half-way. Keep an older key until this finds nothing, and no job waits that was published under it.',
    )
    .action((options: Common) => withTools((tools) => reencrypt(tools, options)));
}

async function reencrypt({ encryption, encryptedColumns, audited }: Tools, options: Common): Promise<void> {
  const { counted } = await import('#config');
  if (!encryption.hasKeys)
    throw new Failure('ENCRYPTION_KEYS is not set: it holds the keys, the newest first');
  const lost = new Map<string, number>();
  const renew = (json: string) =>
    encryption.renew(json, ({ message }) => lost.set(message, (lost.get(message) ?? 0) + 1));
  const changed = await audited('reencrypt', 'all', () =>
    encryptedColumns.rewrite(renew, (seen) => say(`${counted(seen, 'record')} with encrypted parts seen`)),
  );
  for (const [message, count] of lost) say(`${counted(count, 'part')} left as they are: ${message}`);
  answer(options, { changed }, () => `Encrypted ${counted(changed, 'record')} again`);
}
