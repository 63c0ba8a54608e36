// Checks what is about to be committed, as it is staged: lint, format and words. What takes longer is for
// `npm run check`. Plain JavaScript, as it runs without a build.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const git = (...args) => execFileSync('git', args, { encoding: 'utf8' });
const names = (text) => text.split('\0').filter(Boolean);

const staged = names(git('diff', '--cached', '--name-only', '--diff-filter=ACMR', '-z'));
const folder = mkdtempSync(join(tmpdir(), 'staged-'));
try {
  git('checkout-index', `--prefix=${folder}/`, '--', ...new Set(['biome.json', ...staged]));
  const biome = resolve('node_modules/@biomejs/biome/bin/biome');
  const checks = [
    [biome, 'check', '--error-on-warnings', '--vcs-enabled=false', '--no-errors-on-unmatched', ...staged],
    [resolve('scripts/check-words.js'), ...staged],
  ];
  const results = checks.map((check) =>
    spawnSync(process.execPath, check, { cwd: folder, encoding: 'utf8' }),
  );
  const failed = results.filter(({ status }) => status !== 0);
  if (staged.length > 0 && failed.length > 0) {
    for (const { stdout, stderr } of failed) console.error(stdout + stderr);
    console.error(
      'Not committed. `npm run format` mends the format; `git commit --no-verify` commits as it is.',
    );
    process.exitCode = 1;
  }
} finally {
  rmSync(folder, { recursive: true });
}
