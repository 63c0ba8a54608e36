import { cpSync, existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** A step of the build: what is read at run time must stand in `dist` beside the code that reads it. */
const FOLDERS = ['assets', 'migrations'];

// What was removed and is left there would still be found.
for (const lib of readdirSync('dist/libs'))
  if (!existsSync(join('libs', lib))) rmSync(join('dist/libs', lib), { recursive: true });
for (const { name, parentPath } of readdirSync('libs', { recursive: true, withFileTypes: true })) {
  if (!FOLDERS.includes(name)) continue;
  const folder = join(parentPath, name);
  rmSync(join('dist', folder), { recursive: true, force: true });
  cpSync(folder, join('dist', folder), { recursive: true });
}
