import { grouped } from '#config';
import type { QueueProgress } from './progress.js';

const HIDE_CURSOR = '\x1b[?25l';
const SHOW_CURSOR = '\x1b[?25h';
const CLEAR_LINE = '\r\x1b[K';
const CLEAR_BELOW = '\x1b[J';
const COLOURS = { green: 32, red: 31, yellow: 33, cyan: 36, dim: 2, bold: 1 };
/** What a table of progress needs, with a bar that is long enough to see. */
const LEAST_COLUMNS = 64;
const LEAST_ROWS = 14;
const LONGEST_BAR = 50;
const PLAIN_INTERVAL_MS = 2_000;

/**
 * What the demo shows: on a terminal a table that is redrawn in place, elsewhere a line every two seconds. Respects
 * NO_COLOR, TERM=dumb and CI.
 */
export class Screen {
  /** Whether lines can be redrawn. */
  readonly #isLive: boolean;
  readonly #hasColours: boolean;
  readonly #startedAt = performance.now();
  /** Widths of the lines of the table that stands on the screen. */
  #drawn: number[] = [];
  #plainAt = 0;
  #plainLine = '';

  constructor(
    private readonly output = process.stdout,
    env = process.env,
  ) {
    const isTerminal = output.isTTY && env.TERM !== 'dumb' && !env.CI;
    this.#isLive = isTerminal && output.columns >= LEAST_COLUMNS && output.rows >= LEAST_ROWS;
    this.#hasColours = isTerminal && output.hasColors();
    // However the process ends, the terminal is as it was.
    if (this.#isLive) process.once('exit', () => output.write(SHOW_CURSOR));
  }

  /** Prints a line. */
  line(text = ''): void {
    this.output.write(`${text}\n`);
  }

  /** Gives a text a colour where there are colours. */
  readonly paint = (colour: keyof typeof COLOURS, text: string): string =>
    this.#hasColours ? `\x1b[${COLOURS[colour]}m${text}\x1b[0m` : text;

  /**
   * Shows that something is done, and how long it took.
   *
   * @param task may tell, in single lines, what takes long. @returns what it returned.
   */
  async step<T>(title: string, task: (log: (line: string) => void) => Promise<T>): Promise<T> {
    const startedAt = performance.now();
    const begun = `  ${this.paint('dim', '…')} ${title}`;
    this.output.write(this.#isLive ? begun : `${begun}\n`);
    const result = await task((line) =>
      this.output.write(this.#isLive ? `${CLEAR_LINE}    ${line}\n${begun}` : `    ${line}\n`),
    ).catch((error) => {
      if (this.#isLive) this.output.write(`${CLEAR_LINE}  ${this.paint('red', '✘')} ${title}\n`);
      throw error;
    });
    const took = this.paint('dim', seconds(performance.now() - startedAt));
    this.output.write(`${this.#isLive ? CLEAR_LINE : ''}  ${this.paint('green', '✔')} ${title}  ${took}\n`);
    return result;
  }

  /** Draws how far the jobs are: over the last drawing, if there is one. */
  progress(queues: readonly QueueProgress[], isLast: boolean): void {
    if (this.#isLive) this.#draw(queues, isLast);
    else this.#print(queues, isLast);
    if (isLast) this.endProgress();
  }

  /** Leaves the last drawing where it is; what is printed next stands below it. */
  endProgress(): void {
    if (this.#drawn.length > 0) this.output.write(`${CLEAR_LINE}${SHOW_CURSOR}`);
    this.#drawn = [];
  }

  #draw(queues: readonly QueueProgress[], isLast: boolean): void {
    const { columns } = this.output;
    const lines = table(queues, columns, this.paint);
    if (!isLast) lines.push('', this.paint('dim', `  ${this.#elapsed()} · Ctrl-C stops everything`));
    // A terminal that became narrower broke the lines that stood there into several.
    const height = this.#drawn.reduce((sum, width) => sum + Math.max(1, Math.ceil(width / columns)), 0);
    const up = height > 0 ? `\x1b[${height}A` : HIDE_CURSOR;
    this.output.write(`${up}\r${lines.map((line) => `${line}\x1b[K\n`).join('')}${CLEAR_BELOW}`);
    this.#drawn = lines.map((line) => visible(line).length);
  }

  #print(queues: readonly QueueProgress[], isLast: boolean): void {
    const line = queues.map(describe).join(', ');
    const isDue = isLast || performance.now() > this.#plainAt + PLAIN_INTERVAL_MS;
    if (!isDue || line === this.#plainLine) return;
    this.#plainAt = performance.now();
    this.#plainLine = line;
    this.line(`  ${this.#elapsed().padStart(6)}  ${line}`);
  }

  #elapsed(): string {
    return seconds(performance.now() - this.#startedAt);
  }
}

/** Milliseconds as people read them: 1.4 s. */
export const seconds = (milliseconds: number) => `${(milliseconds / 1_000).toFixed(1)} s`;

/** See {@link Screen.paint}. */
export type Paint = Screen['paint'];

function table(queues: readonly QueueProgress[], columns: number, paint: Paint): string[] {
  const name = Math.max(...queues.map(({ queue }) => queue.length), 'queue'.length) + 2;
  const counts = ['queued', 'running', 'retrying', 'dead'] as const;
  const colours = { queued: 'bold', running: 'cyan', retrying: 'yellow', dead: 'red' } as const;
  const cell = (text: string, title: string) => text.padStart(title.length + 2);
  const done = '1,000/1,000'.length;
  const others = counts.reduce((sum, title) => sum + title.length + 2, 0);
  const bar = Math.min(LONGEST_BAR, columns - name - done - others - 5);
  const titles = `  ${'queue'.padEnd(name + bar)} ${'done'.padStart(done)}${counts.map((title) => cell(title, title)).join('')}`;
  return [
    paint('dim', titles),
    ...queues.map((row) =>
      [
        `  ${row.queue.padEnd(name)}${drawBar(row, bar, paint)} `,
        `${grouped(row.done)}/${grouped(row.accepted)}`.padStart(done),
        ...counts.map((state) =>
          paint(row[state] > 0 ? colours[state] : 'dim', cell(grouped(row[state]), state)),
        ),
      ].join(''),
    ),
  ];
}

function drawBar({ done, dead, accepted }: QueueProgress, width: number, paint: Paint): string {
  if (width < 1) return '';
  const end = Math.floor(((done + dead) / accepted) * width);
  // What is dead is seen, however little it is.
  const deadWidth = dead > 0 ? Math.max(1, Math.floor((dead / accepted) * width)) : 0;
  const doneWidth = Math.max(0, end - deadWidth);
  return [
    paint('green', '█'.repeat(doneWidth)),
    paint('red', '▒'.repeat(deadWidth)),
    paint('dim', '░'.repeat(width - doneWidth - deadWidth)),
  ].join('');
}

function describe({ queue, done, accepted, ...counts }: QueueProgress): string {
  const others = (['queued', 'running', 'retrying', 'dead'] as const)
    .filter((state) => counts[state] > 0)
    .map((state) => `${grouped(counts[state])} ${state}`);
  return `${queue} ${grouped(done)}/${grouped(accepted)}${others.length > 0 ? ` (${others.join(' ')})` : ''}`;
}

/** A text without what colours it. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
const visible = (text: string) => text.replace(/\x1b\[[0-9;]*m/g, '');
