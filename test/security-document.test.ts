import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { root } from '#testing/services';

/** `[name](path)`, and the parts of test titles that may follow it: `: "one", "two"`. */
const LINK = /\[[^\]]*\]\((\.\.?\/[^)#]+)\)((?:(?:: |, )"[^"]+")*)/g;

test('docs/security.md names only files that there are, and tests that are in them', async () => {
  const folder = join(root, 'docs');
  const links = [...(await readFile(join(folder, 'security.md'), 'utf8')).matchAll(LINK)];
  expect(links.length).toBeGreaterThan(20);
  for (const [, path = '', quotes = ''] of links) {
    const content = await readFile(join(folder, path), 'utf8');
    for (const [, title = ''] of quotes.matchAll(/"([^"]+)"/g)) {
      const written = title.replaceAll('\\', '');
      expect([path, written, content.includes(written)]).toEqual([path, written, true]);
    }
  }
});
