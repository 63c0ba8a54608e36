import { cpSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** A step of the build: what the apps serve to browsers must stand in `dist` beside the code that serves it. */
for (const { name, parentPath } of readdirSync('libs', { recursive: true, withFileTypes: true })) {
  if (name !== 'assets') continue;
  const folder = join(parentPath, name);
  cpSync(folder, join('dist', folder), { recursive: true });
}
