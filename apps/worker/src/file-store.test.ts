import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { loadSettings } from '#config';
import { NonRetryableError } from '#jobs';
import { FileStore } from './file-store.js';

const signal = new AbortController().signal;
let folder: string;
let files: FileStore;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'warren-files-'));
  await mkdir(join(folder, 'files/in'), { recursive: true });
  await mkdir(join(folder, 'files-beside'));
  await writeFile(join(folder, 'files/in/a.txt'), 'inside');
  await writeFile(join(folder, 'secret.txt'), 'outside');
  await writeFile(join(folder, 'files-beside/secret.txt'), 'outside');
  await symlink('in/a.txt', join(folder, 'files/link-inside'));
  await symlink('../secret.txt', join(folder, 'files/link-outside'));
  await symlink('../files-beside', join(folder, 'files/folder-beside'));
  execFileSync('mkfifo', [join(folder, 'files/pipe')]);
  files = new FileStore(loadSettings({ FILES_DIR: join(folder, 'files') }));
});

afterAll(() => rm(folder, { recursive: true }));

test('reads files below the folder, also through a link that stays below it', async () => {
  expect(String(await files.read('in/a.txt', 6))).toBe('inside');
  expect(String(await files.read('link-inside', 6))).toBe('inside');
});

test.each([
  '/etc/passwd',
  '../secret.txt',
  'in/../../secret.txt',
  'in\\..\\..\\secret.txt',
  'link-outside',
  'folder-beside/secret.txt',
  'a\0b',
  '.',
])('refuses %p as outside, for good', async (path) => {
  await expect(files.read(path, 100)).rejects.toThrow(NonRetryableError);
  await expect(files.read(path, 100)).rejects.toThrow('leads outside FILES_DIR');
});

test.each([
  ['a folder', 'in', 'is not a file'],
  ['a named pipe', 'pipe', 'is not a file'],
  ['a file that is too large', 'in/a.txt', 'larger than 5 bytes'],
])('refuses %s', async (_, path, message) => {
  await expect(files.read(path, 5)).rejects.toThrow(NonRetryableError);
  await expect(files.read(path, 5)).rejects.toThrow(message);
});

test('a missing file is missing for good; a missing folder may come back', async () => {
  const failed = files.read('missing.png', 100);
  await expect(failed).rejects.toThrow('Cannot find "missing.png" below FILES_DIR');
  await expect(failed).rejects.toThrow(NonRetryableError);
  const nowhere = new FileStore(loadSettings({ FILES_DIR: join(folder, 'nowhere') })).read('a.txt', 100);
  await expect(nowhere).rejects.toThrow('FILES_DIR is not there');
  await expect(nowhere).rejects.not.toThrow(NonRetryableError);
});

test('writes replace the whole file and say how long it is', async () => {
  expect(await files.write('out/b.txt', [Buffer.from('a longer first text')], signal)).toBe(19);
  expect(await files.write('out/b.txt', [Buffer.from('sécond')], signal)).toBe(7);
  expect(await readFile(join(folder, 'files/out/b.txt'), 'utf8')).toBe('sécond');
  expect(await readdir(join(folder, 'files/out'))).toEqual(['b.txt']);
});

test('a write that fails or is aborted half-way leaves what was there, and nothing else', async () => {
  await files.write('kept/c.txt', [Buffer.from('before')], signal);
  const failure = new Error('source failed');
  const failing = async function* () {
    yield 'half';
    throw failure;
  };
  await expect(files.write('kept/c.txt', failing(), signal)).rejects.toBe(failure);

  const controller = new AbortController();
  const reason = new Error('time is over');
  const endless = async function* () {
    for (;;) {
      yield 'half';
      controller.abort(reason);
    }
  };
  await expect(files.write('kept/c.txt', endless(), controller.signal)).rejects.toBe(reason);
  await expect(files.write('kept/c.txt', endless(), controller.signal)).rejects.toBe(reason);
  // Many at once, so that some are aborted before their file is open.
  const aborted = Array.from({ length: 100 }, async () => {
    const each = new AbortController();
    const half = async function* () {
      each.abort(reason);
      yield 'half';
    };
    await expect(files.write('kept/c.txt', half(), each.signal)).rejects.toBe(reason);
  });
  await Promise.all(aborted);

  expect(await readFile(join(folder, 'files/kept/c.txt'), 'utf8')).toBe('before');
  expect(await readdir(join(folder, 'files/kept'))).toEqual(['c.txt']);
});
