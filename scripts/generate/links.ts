import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { edit, filesBelow } from './tree.js';

const LINK = /(, )?(?<!!)\[([^\]]+)\]\(([^):\s#]+)(?:#[^)\s]*)?\)(?=(,| \||\n)?)/g;

/** Links of the documents to what is gone become plain text; where they are one of a list, they go. */
export function unlinkGone(): void {
  for (const file of filesBelow('.')) {
    if (!file.endsWith('.md') || file === 'CHANGELOG.md' || !readFileSync(file, 'utf8').includes(']('))
      continue;
    edit(file, (text) =>
      outsideOfCode(text, (prose) =>
        prose.replace(LINK, (link, before = '', name: string, target: string, after?: string) => {
          if (existsSync(join(dirname(file), target))) return link;
          return before && after ? '' : before + name;
        }),
      ),
    );
  }
}

/** Code is quoted, such as the lists of docs/removing.md: what looks like a link there is none. */
const outsideOfCode = (text: string, change: (prose: string) => string): string =>
  text
    .split(/(^```[\s\S]*?^```)/m)
    .map((part, index) => (index % 2 === 0 ? change(part) : part))
    .join('');
