/**
 * What the commands print: results to standard output, everything else to standard error. Payloads, errors and names
 * came from outside, so nothing that a terminal would take for a command gets through.
 */

/** Control characters, and those that turn the direction of a line or end it. */
const UNPRINTABLE = /[\p{Cc}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;
const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** A text as one line that is safe to print. */
export const clean = (text: string): string => text.replace(UNPRINTABLE, escaped);

/** JSON that is safe to print: the same value, with the characters escaped that JSON itself lets pass. */
export const toJson = (value: unknown, indent = 0): string =>
  (JSON.stringify(value, null, indent) ?? 'null').replace(UNPRINTABLE, (character) =>
    character === '\n' ? character : escaped(character),
  );

/** Prints one line, or several. */
export const print = (text: string): void => void process.stdout.write(`${text}\n`);

/** Writes to standard error what is not the result. */
export const say = (text: string): void => void process.stderr.write(`${text}\n`);

/** Prints the result: as JSON where that was asked for, and else as `plain` shows it. */
export function answer<T>({ json }: { json?: boolean }, value: T, plain: (value: T) => string): void {
  print(json ? toJson(value) : plain(value));
}

/** What to say of a pause or a resumption that found nothing to change. */
export const unchanged = (what: string, action: 'pause' | 'resume'): string =>
  `${what} was ${action === 'pause' ? 'paused already' : 'not paused'}`;

/** What a cell of a table may hold. */
export type Cell = string | number | boolean | Date | null | undefined;

/** Lines of aligned columns. Numbers stand to the right. */
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

/** A text cut to a length that fits a table. */
export const cut = (text: string, length: number): string =>
  text.length > length ? `${text.slice(0, length - 1)}…` : text;

const BAR_WIDTH = 30;

/**
 * Shows on a terminal how far something is, in one line that is drawn over and over; elsewhere nothing.
 *
 * @returns a function to be told how much is done, and one that takes the line away.
 */
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
