import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What browsers fetch beside the pages; the build copies the folder. */
export const ASSETS = join(import.meta.dirname, 'assets');

/** Of each file; changes with its content. */
const versions = new Map(
  readdirSync(ASSETS).map((name) => {
    const hash = createHash('sha256').update(readFileSync(join(ASSETS, name)));
    return [name, hash.digest('base64url').slice(0, 12)];
  }),
);

/** The version of a file; undefined when there is none of that name. */
export const versionOf = (name: string): string | undefined => versions.get(name);

/** An address that browsers may keep for ever: with another content it is another one. */
export const assetUrl = (name: string): string => `/dashboard/assets/${versionOf(name)}/${name}`;
