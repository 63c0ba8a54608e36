import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

const root = join(import.meta.dirname, '..');
const TIDY = 'export const one = 1;\n';
const UNTIDY = 'export const one = "1"\n';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'hooked-'));
  for (const path of ['biome.json', '.githooks', 'scripts/check-staged.js', 'scripts/check-words.js'])
    cpSync(join(root, path), join(folder, path), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  mkdirSync(join(folder, 'docs'));
  git('init', '--quiet');
  git('config', 'core.hooksPath', '.githooks');
  git('add', 'biome.json', 'scripts');
});
afterAll(() => rmSync(folder, { recursive: true }));

const git = (...args: string[]) => {
  const user = ['-c', 'user.name=Ada', '-c', 'user.email=ada@example.com'];
  const { status, stderr } = spawnSync('git', [...user, ...args], { cwd: folder, encoding: 'utf8' });
  return { status, stderr };
};
const write = (file: string, text: string) => writeFileSync(join(folder, file), text);

test('what is staged is checked before a commit, as it is staged; --no-verify goes past', () => {
  expect(git('commit', '--quiet', '-m', 'begin')).toEqual({ status: 0, stderr: '' });

  write('one.ts', UNTIDY);
  git('add', 'one.ts');
  write('one.ts', TIDY);
  const refused = git('commit', '--quiet', '-m', 'untidy');
  expect(refused.status).toBe(1);
  expect(refused.stderr).toContain('one.ts format');
  expect(refused.stderr).toContain('git commit --no-verify');

  git('add', 'one.ts');
  write('one.ts', UNTIDY);
  write('two.ts', UNTIDY);
  expect(git('commit', '--quiet', '-m', 'tidy')).toEqual({ status: 0, stderr: '' });
  expect(git('commit', '--quiet', '--all', '--no-verify', '-m', 'untidy').status).toBe(0);

  // Its own replaced word, so that this file has none.
  write('docs/page.md', `What the queue is ${['o', 'wed'].join('')}.\n`);
  git('add', 'docs');
  expect(git('commit', '--quiet', '-m', 'words').stderr).toContain('docs/page.md:1: ');
  git('reset', '--quiet', '--', 'docs');

  git('rm', '--quiet', '--force', 'one.ts');
  expect(git('commit', '--quiet', '-m', 'gone')).toEqual({ status: 0, stderr: '' });
});
