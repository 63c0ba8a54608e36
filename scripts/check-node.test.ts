import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';

test.each([
  ['18.20.8', '2026-01-01', 1, /^This is Node 18\.20\.8, and >=\d+\.\d+ is needed: use Node \d+.*\n$/],
  ['20.19.0', '2026-04-01', 0, /^$/],
  ['20.20.2', '2026-05-01', 0, /^Node 20 has had no security fixes since 2026-04-30: use Node \d+.*\n$/],
  ['24.15.0', '2026-05-01', 0, /^$/],
  ['27.0.0', '2027-05-01', 0, /^$/],
])('what is wrong with Node %s at %s is said in a line', (version, today, code, text) => {
  const file = join(import.meta.dirname, 'check-node.js');
  const { status, stderr } = spawnSync(process.execPath, [file, version, today], { encoding: 'utf8' });
  expect(stderr).toMatch(text);
  expect(status).toBe(code);
});
