import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { counted } from '#config';
import { hashPassword } from '#dashboard';
import { edit, filesBelow, Refusal, runCommand, tidy } from './generate/tree.js';
import { formsOf, occurs, renamer } from './init/forms.js';
import { removeAll } from './remove.js';

/** `npm run init`: makes a clone a service of its own name, with secrets of its own. */

const USAGE = `Usage: npm run init -- NAME [--without-examples]

NAME is two to forty of a-z, 0-9 and -, and takes the place of the old name everywhere: npm run init -- my-service`;

/** How documents show this command: with names that it is to take. */
const SHOWN = /npm run init -- [a-z0-9-]+/g;
/** The licence asks for this line to stay; add one of your own above it. */
const NOTICE = /^Copyright .*/m;

await runCommand(async (argv) => {
  const { name, withoutExamples } = readArguments(argv);
  const { name: old } = JSON.parse(readFileSync('package.json', 'utf8')) as { name: string };
  if (name !== old) refuseTaken(name, old);

  if (withoutExamples) removeAll(['examples']);
  if (name === old) console.log(`The service is named ${name} already`);
  else console.log(`Renamed ${old} to ${name}, in ${counted(rename(old, name), 'file')}`);
  await makeSecrets();
  console.log('Next: npm run settings && npm run describe && npm run check && npm test');
});

function readArguments(argv: string[]): { name: string; withoutExamples: boolean } {
  try {
    const { positionals, values } = parseArgs({
      args: argv,
      allowPositionals: true,
      options: { 'without-examples': { type: 'boolean', default: false } },
    });
    const [name = '', ...rest] = positionals;
    if (
      /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name) &&
      name.length >= 2 &&
      name.length <= 40 &&
      rest.length === 0
    )
      return { name, withoutExamples: values['without-examples'] };
  } catch {
    // An unknown option.
  }
  throw new Refusal(USAGE);
}

/** A name that is a word of the tree already could not be told from it when the service is renamed once more. */
function refuseTaken(name: string, old: string): void {
  const without = renamer(formsOf(old), formsOf('\0'));
  const isTaken = (text: string) => occurs(formsOf(name), without(text.replace(SHOWN, '')));
  for (const file of filesBelow('.')) {
    const text = textOf(file)?.replace(file === 'LICENSE' ? NOTICE : '', '');
    if (text === undefined || !isTaken(`${file}\n${text}`)) continue;
    throw new Refusal(
      `"${name}" is a word of ${file} already, so it would not name the service alone: choose another, such as acme-${name}`,
    );
  }
}

/** @returns how many files were changed. */
function rename(old: string, name: string): number {
  const renamed = renamer(formsOf(old), formsOf(name));
  const changed: string[] = [];
  for (const file of filesBelow('.')) {
    if (textOf(file) === undefined) continue;
    const isChanged = edit(file, (text) => {
      const [notice = ''] = (file === 'LICENSE' && NOTICE.exec(text)) || [];
      return renamed(text).replace(renamed(notice), notice);
    });
    const moved = join(dirname(file), renamed(basename(file)));
    if (moved !== file) renameSync(file, moved);
    if (isChanged || moved !== file) changed.push(moved);
  }
  // A longer or shorter name breaks lines elsewhere.
  tidy(changed);
  return changed.length;
}

/** What a file says, or undefined for pictures and the like. */
function textOf(file: string): string | undefined {
  const content = readFileSync(file);
  return content.includes(0) ? undefined : content.toString('utf8');
}

/** Writes `.env`, for nobody but its owner to read, unless there is one. */
async function makeSecrets(): Promise<void> {
  if (existsSync('.env')) return console.log('.env is there already and stays as it is');
  const lines = [
    '# Secrets of this machine: git ignores this file, and what is deployed needs its own. Settings: docs/settings.md',
    '',
    '# With keys the api would listen on every address.',
    'LISTEN_ADDRESS=127.0.0.1',
    `API_KEYS=${randomBytes(32).toString('base64url')}`,
    await dashboardUser(),
    `WEBHOOK_SECRET=whsec_${randomBytes(32).toString('base64')}`,
  ];
  writeFileSync('.env', `${lines.join('\n')}\n`, { mode: 0o600 });
  console.log('Wrote .env with an API key');
}

/** The one who signs in to the dashboard; only the hash of the password is kept. */
async function dashboardUser(): Promise<string> {
  const password = randomBytes(15).toString('base64url');
  console.log(`The dashboard's user is admin, the password ${password} (shown this once)`);
  return `DASHBOARD_USERS=operator:admin:${await hashPassword(password)}`;
}
