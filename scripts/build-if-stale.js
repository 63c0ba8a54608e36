// Builds when a source is newer than the last build. Plain JavaScript, as it runs before there is one. Asking the
// compiler whether there is something to do takes it seconds, which is long for `npm run jobs -- --help`.
// `--anyway`: errors do not matter, as the command that follows compiles again and tells of them.
import { spawnSync } from 'node:child_process';
import { readdirSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const built = join(root, 'dist/.tsbuildinfo');

const changedAt = (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
const sources = ['apps', 'libs', 'scripts'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true }).map((file) => join(root, folder, file)),
);
const last = changedAt(built);
const isStale = [
  ...sources,
  ...['package.json', 'tsconfig.json', 'tsconfig.build.json'].map((file) => join(root, file)),
]
  // Folders are changed by what is made and deleted in them.
  .some((path) => changedAt(path) > last);
if (isStale) {
  const isAnyway = process.argv[2] === '--anyway';
  const { status } = spawnSync('npm', ['run', 'build', '--silent'], {
    cwd: root,
    stdio: ['ignore', isAnyway ? 'ignore' : 2, 2],
  });
  if (isAnyway) process.exit();
  if (status !== 0) process.exit(status ?? 1);
  // The compiler leaves it alone when it finds that nothing has changed.
  utimesSync(built, new Date(), new Date());
}
