import { randomBytes } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { loadSettings } from '#config';
import { isPassword } from '#dashboard';
import { type Clone, givenClone } from '../support/clone.js';

/** Names that are not in the tree, whatever a clone is called. */
const word = () => `z${randomBytes(4).toString('hex')}`;
const NAME = `${word()}-${word()}`;
const OTHER = `${word()}-side-7`;

let clone: Clone;

beforeAll(async () => {
  clone = await givenClone();
});
afterAll(() => clone?.close());

const init = (...args: string[]) => clone.run(['dist/scripts/init.js', ...args]);

/** Every file that says something, or is named, like a name. */
async function traces(name: RegExp): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(clone.folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name).slice(clone.folder.length + 1);
    if (/^(node_modules|dist|\.git)(\/|$)/.test(path)) continue;
    const text = entry.isFile() ? await clone.read(path) : '';
    const lines = text.split('\n').filter((line) => name.test(line));
    found.push(...lines.map((line) => `${path}: ${line}`));
    if (name.test(path)) found.push(path);
  }
  return found;
}

test.each(['Upper', 'x', 'snake_case', '-dash', 'two words', 'a'.repeat(41), '--force'])(
  'the name %p is refused',
  async (name) => {
    const { code, output } = await init(name);
    expect(output).toContain('two to forty of a-z, 0-9 and -');
    expect(code).toBe(2);
    expect(clone.changes()).toBe('');
  },
);

test.each(['jobs', 'worker', 'job-server'])('%s is a word of the tree, and refused', async (name) => {
  const { code, output } = await init(name);
  expect(output).toContain(`choose another, such as acme-${name}`);
  expect(code).toBe(2);
  expect(clone.changes()).toBe('');
});

test('no trace of the old name is left but the notice that the licence asks for, and what is there lints', async () => {
  const { name: old } = JSON.parse(await clone.read('package.json'));
  const { code, output } = await init(NAME);
  expect(output).toContain(`Renamed ${old} to ${NAME}`);
  expect(code).toBe(0);
  const found = await traces(new RegExp(old, 'i'));
  expect(found.filter((trace) => !trace.startsWith('LICENSE: Copyright (c)'))).toEqual([]);
  expect(JSON.parse(await clone.read('package.json')).name).toBe(NAME);
  expect(JSON.parse(await clone.read('package-lock.json')).packages[''].name).toBe(NAME);
  await clone.lint();

  const [, password = ''] = /the password (\S+)/.exec(output) ?? [];
  const lines = (await clone.read('.env')).split('\n').filter((line) => /^[A-Z]/.test(line));
  const settings = loadSettings(Object.fromEntries(lines.map((line) => line.split(/=(.*)/s))));
  expect(settings.API_KEYS).toEqual([{ key: expect.stringMatching(/^[\w-]{43}$/) }]);
  expect(settings.DASHBOARD_USERS).toMatchObject([{ role: 'operator', name: 'admin' }]);
  expect(await isPassword(password, settings.DASHBOARD_USERS[0]?.hash ?? '')).toBe(true);
  expect((await stat(join(clone.folder, '.env'))).mode & 0o777).toBe(0o600);
  expect(clone.changes()).not.toContain('.env\n');
});

test('a second time it has nothing to do, or renames once more', async () => {
  const secrets = await clone.read('.env');
  expect(await init(NAME)).toMatchObject({
    code: 0,
    output: expect.stringMatching(/is named .* already\n\.env is there already/),
  });
  expect((await init(OTHER)).output).toContain(`Renamed ${NAME} to ${OTHER}`);
  expect(await traces(new RegExp(NAME.replace('-', '.?'), 'i'))).toEqual([]);
  expect(await clone.read('.env')).toBe(secrets);
});

test('the examples go if they are asked to', async () => {
  expect(await init(OTHER, '--without-examples')).toMatchObject({ code: 0 });
  const left = await clone.read('libs/contracts/src/index.ts');
  expect(left).not.toMatch(/demo\.flaky|email\.send|image\.resize|report\.generate|webhook\.deliver/);
  expect(await clone.read('README.md')).not.toMatch(/npm run demo|examples/);
  await clone.lint();
});

test('the name that the guide proposes, and each that another document does, is taken', async () => {
  clone.restore();
  const shown = new Set<string>();
  for (const [, name = ''] of (await traces(/npm run init -- [a-z]/))
    .join('\n')
    .matchAll(/init -- ([a-z0-9-]+)/g))
    shown.add(name);
  expect(shown.size).toBeGreaterThan(0);
  for (const name of shown) expect(await init(name)).toMatchObject({ code: 0 });
});
