import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';

const root = join(import.meta.dirname, '../../..');

test('the table of jobs is named in statements of this lib only', () => {
  const files = ['apps', 'libs'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((file) => join(folder, file)),
  );
  const elsewhere = files.filter(
    (file) => /\.ts$/.test(file) && !/^libs.records|\.test\.ts$|node_modules/.test(file),
  );
  const naming = elsewhere.filter((file) =>
    /\b(from|join|update|into) jobs\b/.test(readFileSync(join(root, file), 'utf8')),
  );
  expect(elsewhere.length).toBeGreaterThan(100);
  expect(naming).toEqual([]);
});
