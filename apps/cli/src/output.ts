/**
 * Results go to standard output, everything else to standard error. Payloads, errors and names come from outside, so
 * control characters in them are escaped.
 */

/** Control characters, and those that end a line or change its direction. */
const UNPRINTABLE = /[\p{Cc}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;
const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** Escapes a text, so that it is one line that is safe to print. */
export const clean = (text: string): string => text.replace(UNPRINTABLE, escaped);

/** JSON of the same value that is safe to print. */
export const toJson = (value: unknown, indent = 0): string =>
  (JSON.stringify(value, null, indent) ?? 'null').replace(UNPRINTABLE, (character) =>
    character === '\n' ? character : escaped(character),
  );

/** Prints a text to standard output. */
export const print = (text: string): void => void process.stdout.write(`${text}\n`);

/** Prints a text to standard error. */
export const say = (text: string): void => void process.stderr.write(`${text}\n`);

/** Prints a result: as JSON with --json, otherwise as `plain` formats it. */
export function answer<T>({ json }: { json?: boolean }, value: T, plain: (value: T) => string): void {
  print(json ? toJson(value) : plain(value));
}

/** The message of a pause or a resume that changed nothing. */
export const unchanged = (what: string, action: 'pause' | 'resume'): string =>
  `${what} was ${action === 'pause' ? 'paused already' : 'not paused'}`;

export type Cell = string | number | boolean | Date | null | undefined;

/** Formats rows as aligned columns, numbers to the right. */
export function table(headings: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const cells = rows.map((row) => row.map(cell));
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...cells.map((row) => row[column]?.length ?? 0)),
  );
  const line = (texts: readonly string[], row?: readonly Cell[]) =>
    texts
      .map((text, column) => {
        const width = widths[column] ?? 0;
        return typeof row?.[column] === 'number' ? text.padStart(width) : text.padEnd(width);
      })
      .join('  ')
      .trimEnd();
  return [line(headings), ...cells.map((texts, index) => line(texts, rows[index]))].join('\n');
}

function cell(value: Cell): string {
  if (value === null || value === undefined) return '-';
  if (value instanceof Date) return value.toISOString();
  if (typeof value === 'boolean') return value ? 'yes' : '-';
  return typeof value === 'number' ? value.toLocaleString('en') : clean(value);
}

/** Shortens a text to a number of characters. */
export const cut = (text: string, length: number): string =>
  text.length > length ? `${text.slice(0, length - 1)}…` : text;

const BAR_WIDTH = 30;

/** Shows progress in one line of a terminal, elsewhere nothing. @returns functions that draw and remove the line. */
export function progressBar(title: string, total: number): { show(done: number): void; end(): void } {
  const { stderr } = process;
  return {
    show: (done) => {
      if (!stderr.isTTY) return;
      const filled = Math.round((Math.min(done, total) / Math.max(total, 1)) * BAR_WIDTH);
      const bar = '█'.repeat(filled) + '░'.repeat(BAR_WIDTH - filled);
      stderr.write(`\r\x1b[K${title} ${bar} ${done.toLocaleString('en')} of ${total.toLocaleString('en')}`);
    },
    end: () => void (stderr.isTTY && stderr.write('\r\x1b[K')),
  };
}
