import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import { describeSettings, loadSettings } from '#config';
import { renderEnvExample, renderSettings, renderSettingsPage } from './settings.js';

const root = join(import.meta.dirname, '..');

describe('the files that list the settings', () => {
  test.each(Object.entries(renderSettings()))('%s lists what the schema checks', async (path, expected) => {
    const found = await readFile(join(root, path), 'utf8').catch(() => undefined);
    if (found === expected) return;
    throw new Error(`${path} does not say what libs/config/src/settings.ts does: run "npm run settings"`);
  });

  test('a copy of .env.example changes nothing', () => {
    expect(parseEnv(renderEnvExample(describeSettings()))).toEqual({});
  });

  test('.env.example, uncommented, sets the defaults', () => {
    const names = describeSettings().map(({ name }) => name);
    const uncommented = renderEnvExample(describeSettings())
      .split('\n')
      .filter((line) => names.some((name) => line.startsWith(`# ${name}=`)))
      .map((line) => line.slice('# '.length));

    expect(uncommented).toHaveLength(names.length);
    expect(loadSettings(parseEnv(uncommented.join('\n')))).toEqual(loadSettings({}));
  });

  test('text that means something to a table or a shell is kept apart from it', () => {
    const setting = { name: 'PIPES', fallback: 'a b|c $d', description: 'One | two.' };

    expect(renderSettingsPage([setting])).toContain('| `PIPES` | `a b\\|c $d` | One \\| two. |');
    expect(renderEnvExample([setting])).toContain('# PIPES="a b|c $d"');
  });
});
