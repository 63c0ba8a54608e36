import { cpus, release, totalmem } from 'node:os';
import type { Services } from '../../scripts/services.js';
import type { Extent, Measures } from './round.js';
import { REFERENCE } from './systems.js';

/** What a whole run found: for each system its rounds, in the order in which they were played. */
export interface Report {
  at: string;
  machine: string;
  extent: Extent;
  systems: { id: string; title: string; keeps: string; rounds: Measures[] }[];
  /** What was not measured, and why. */
  skipped: string[];
}

type Figure = keyof Measures;

const FIGURES: { figure: Figure; title: string; digits: number }[] = [
  { figure: 'enqueue', title: 'enqueue/s', digits: 0 },
  { figure: 'bulk', title: 'enqueue many/s', digits: 0 },
  { figure: 'drain', title: 'drain/s', digits: 0 },
  { figure: 'both', title: 'both at once/s', digits: 0 },
  { figure: 'p50', title: 'p50 ms', digits: 1 },
  { figure: 'p95', title: 'p95 ms', digits: 1 },
  { figure: 'p99', title: 'p99 ms', digits: 1 },
  { figure: 'cpu', title: 'CPU s for 1,000', digits: 3 },
  { figure: 'memory', title: 'worker MiB', digits: 0 },
];

export function describeMachine(): string {
  return `${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'}), ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, Node ${process.version}`;
}

/** Where broker and database run. */
export const describeServices = ({ origin }: Pick<Services, 'origin'>): string =>
  Object.values(origin).every((one) => one === 'compose')
    ? 'broker and database in containers'
    : 'broker and database on the machine itself';

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** The median over the rounds of a figure; undefined where the system has no such thing. */
export function medianOf(rounds: readonly Measures[], figure: Figure): number | undefined {
  const values = rounds.map((round) => round[figure]).filter((value) => value !== undefined);
  return values.length > 0 ? median(values) : undefined;
}

/**
 * The median, over the rounds, of the ratio to another system in the same round: what a machine does besides in one
 * round, it does to both.
 *
 * @param than the other system's figure; the same one when absent.
 */
export function ratioOf(
  { systems }: Report,
  system: string,
  to: string,
  figure: Figure,
  than: Figure = figure,
): number | undefined {
  const [mine, theirs] = [system, to].map((id) => systems.find((one) => one.id === id)?.rounds);
  const ratios = mine?.flatMap((round, index) => {
    const [value, base] = [round[figure], theirs?.[index]?.[than]];
    return value === undefined || base === undefined ? [] : [value / base];
  });
  return ratios?.length ? median(ratios) : undefined;
}

/** The tables, as a terminal and Markdown show them. */
export function toMarkdown(report: Report): string {
  const { extent, systems, skipped } = report;
  const rounds = Math.min(...systems.map((system) => system.rounds.length));
  const cell = (value: number | undefined, digits: number) =>
    value === undefined
      ? '–'
      : value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const table = (of: (system: Report['systems'][number], figure: Figure, digits: number) => string) => [
    `| | ${FIGURES.map(({ title }) => title).join(' | ')} |`,
    `|---|${FIGURES.map(() => '---:').join('|')}|`,
    ...systems.map(
      (system) =>
        `| ${system.id} | ${FIGURES.map(({ figure, digits }) => of(system, figure, digits)).join(' | ')} |`,
    ),
  ];
  return [
    `${report.at}, ${report.machine}. ${rounds} rounds of ${extent.jobs.toLocaleString('en')} jobs of 200 bytes, the systems in turn in each round, each with a producer and a worker process of its own.`,
    ...systems.map(({ id, title }) => `- **${id}**: ${title}.`),
    ...skipped.map((line) => `- ${line}`),
    '',
    'Medians over the rounds:',
    '',
    ...table(({ rounds }, figure, digits) => cell(medianOf(rounds, figure), digits)),
    '',
    `Medians of the ratios to ${REFERENCE} in the same round:`,
    '',
    ...table(({ id }, figure) => cell(ratioOf(report, id, REFERENCE, figure), 2)),
    '',
    'What Warren aims at:',
    '',
    ...targets(report),
    '',
  ].join('\n');
}

/** What Warren is to reach, and whether it did. */
function targets(report: Report): string[] {
  const ours = (figure: Figure, than?: Figure) => ratioOf(report, 'warren', REFERENCE, figure, than);
  const rounds = report.systems.find(({ id }) => id === 'warren')?.rounds ?? [];
  const rows: [title: string, value: number | undefined, limit: number, least: boolean][] = [
    ['both at once, to amqplib', ours('both'), 0.6, true],
    ['both at once, to BullMQ', ratioOf(report, 'warren', 'bullmq', 'both'), 1.2, true],
    ['drain, to amqplib', ours('drain'), 0.5, true],
    ['enqueue, to amqplib', ours('enqueue'), 0.5, true],
    ['enqueue many, to one by one of amqplib', ours('bulk', 'enqueue'), 0.9, true],
    ['p50, to amqplib', ours('p50'), 3, false],
    ['CPU for each job, to amqplib', ours('cpu'), 2.5, false],
    ['memory of the worker, MiB', medianOf(rounds, 'memory'), 150, false],
  ];
  return rows.map(([title, value, limit, least]) => {
    const verdict =
      value === undefined ? 'not measured' : (least ? value >= limit : value <= limit) ? 'reached' : 'missed';
    return `- ${title}: ${value?.toFixed(2) ?? '–'} (${least ? 'at least' : 'at most'} ${limit}): ${verdict}`;
  });
}

/** Rows as a table of Markdown, whose columns are those of the first one. */
export const table = (rows: readonly Record<string, number | string>[]): string[] => [
  `| ${Object.keys(rows[0] ?? {}).join(' | ')} |`,
  `|${Object.keys(rows[0] ?? {})
    .map(() => '---:')
    .join('|')}|`,
  ...rows.map(
    (row) =>
      `| ${Object.values(row)
        .map((value) => value.toLocaleString('en'))
        .join(' | ')} |`,
  ),
];
