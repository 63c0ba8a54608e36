import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What browsers fetch beside the pages, from the folder beside this file; the build copies it. */
const types = {
  'styles.css': 'text/css; charset=utf-8',
  'live.js': 'text/javascript; charset=utf-8',
  'icon.svg': 'image/svg+xml',
} as const;
type Name = keyof typeof types;

export interface Asset {
  content: Buffer;
  type: string;
  /** Changes with the content. */
  version: string;
}

const assets = new Map<string, Asset>(
  Object.entries(types).map(([name, type]) => {
    const content = readFileSync(join(import.meta.dirname, 'assets', name));
    const version = createHash('sha256').update(content).digest('base64url').slice(0, 12);
    return [name, { content, type, version }];
  }),
);

/** The asset of a name, or undefined. */
export const assetOf = (name: string): Asset | undefined => assets.get(name);

/** An address that browsers may keep for ever: with another content it is another one. */
export const assetUrl = (name: Name): string => `/dashboard/assets/${assets.get(name)?.version}/${name}`;
