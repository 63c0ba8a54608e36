import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { counted, grouped } from '#config';
import type { Job } from './client.js';
import type { Mailbox, Subscriber } from './receivers.js';
import { type Paint, seconds } from './screen.js';
import type { Planned } from './workload.js';

/** Where the work of the jobs can be seen by others than Warren. */
export interface Evidence {
  mailbox: Mailbox;
  subscriber: Subscriber;
  filesDir: string;
}

/** What became of the jobs of one name. */
interface Row {
  name: string;
  succeeded: number;
  dead: number;
  attempts: number;
  /** From acceptance to the start of the first attempt. */
  medianWaitMs: number;
}

/**
 * Says what became of the jobs, as the api and the receivers tell it.
 *
 * @returns the lines to print, and what is not as planned.
 */
export async function summarize(
  jobs: readonly Job[],
  planned: readonly Planned[],
  { mailbox, subscriber, filesDir }: Evidence,
  paint: Paint,
): Promise<{ lines: string[]; problems: string[] }> {
  const names = [...new Set(planned.map(({ name }) => name))].sort();
  const rows = names.map((name) => toRow(name, jobs));
  const [reports, pictures] = await Promise.all([readReports(jobs, filesDir), readPictures(jobs, filesDir)]);
  const mails = total(mailbox.received.values());
  const webhooks = total(subscriber.received.values());

  const facts = {
    Jobs: `${grouped(jobs.length)} in ${seconds(duration(jobs))}, from the first accepted to the last ended`,
    Mails: `${grouped(mails)} received by the SMTP server`,
    Webhooks: `${grouped(webhooks)} received, with the right signature`,
    Reports: `${counted(reports.files, 'file')} with ${counted(reports.rows, 'row')}, ${kilobytes(reports.bytes)}`,
    Pictures: `${counted(pictures.files, 'file')}, ${kilobytes(pictures.bytes)}`,
  };
  return {
    lines: [
      ...renderTable(rows, paint),
      '',
      ...Object.entries(facts).map(([title, fact]) => `  ${paint('dim', title.padEnd(10))}${fact}`),
    ],
    problems: [
      ...rows.flatMap((row) => compare(row, planned, jobs)),
      ...compareDeliveries('mail', mailbox.received, recipients(planned)),
      ...compareDeliveries('webhook', subscriber.received, idsOf('webhook.deliver', jobs)),
      ...(subscriber.forged > 0
        ? [`${counted(subscriber.forged, 'webhook')} came without a right signature`]
        : []),
      ...reports.problems,
      ...pictures.problems,
    ],
  };
}

function toRow(name: string, all: readonly Job[]): Row {
  const jobs = all.filter((job) => job.name === name);
  const waits = jobs.flatMap(({ attempts: [first], createdAt }) =>
    first?.startedAt ? [Date.parse(first.startedAt) - Date.parse(createdAt)] : [],
  );
  return {
    name,
    succeeded: jobs.filter(({ state }) => state === 'succeeded').length,
    dead: jobs.filter(({ state }) => state === 'dead').length,
    attempts: total(jobs.map(({ attempts }) => attempts.length)),
    medianWaitMs: waits.sort((a, b) => a - b)[Math.floor(waits.length / 2)] ?? Number.NaN,
  };
}

function compare(row: Row, all: readonly Planned[], jobs: readonly Job[]): string[] {
  const planned = all.filter(({ name }) => name === row.name);
  const expected = {
    succeeded: planned.filter(({ ends }) => ends === 'succeeded').length,
    dead: planned.filter(({ ends }) => ends === 'dead').length,
    attempts: total(planned.map(({ attempts }) => attempts)),
  };
  const problems = (['succeeded', 'dead', 'attempts'] as const)
    .filter((key) => row[key] !== expected[key])
    .map((key) => `${row.name}: ${grouped(row[key])} ${key}, expected ${grouped(expected[key])}`);
  const error = jobs.find(({ name, error }) => name === row.name && error)?.error;
  return problems.length > 0 && error ? [...problems, `${row.name}: ${error.message}`] : problems;
}

/** Each of those expected must have received one, and nobody else any. */
function compareDeliveries(what: string, received: Map<string, number>, expected: Set<string>): string[] {
  const missing = [...expected].filter((one) => !received.has(one)).length;
  const repeated = [...received.values()].filter((count) => count > 1).length;
  const unknown = [...received.keys()].filter((one) => !expected.has(one)).length;
  return Object.entries({ missing, 'received more than once': repeated, 'nobody sent': unknown })
    .filter(([, count]) => count > 0)
    .map(([how, count]) => `${counted(count, what)} ${how}`);
}

const recipients = (planned: readonly Planned[]) =>
  new Set(
    planned.filter(({ name }) => name === 'email.send').map(({ payload }) => (payload as { to: string }).to),
  );

const idsOf = (wanted: string, jobs: readonly Job[]) =>
  new Set(jobs.filter(({ name }) => name === wanted).map(({ id }) => id));

interface Files {
  files: number;
  bytes: number;
  problems: string[];
}

/** Reads the reports again, to see whether they hold what their jobs say. */
async function readReports(jobs: readonly Job[], folder: string): Promise<Files & { rows: number }> {
  const found = { files: 0, bytes: 0, rows: 0, problems: [] as string[] };
  for (const result of results<{ path: string; rows: number }>('report.generate', jobs)) {
    const content = await readFile(join(folder, result.path), 'utf8').catch(() => '');
    const rows = content.split('\n').filter(Boolean).length - 1;
    found.files += 1;
    found.bytes += Buffer.byteLength(content);
    found.rows += rows;
    if (rows !== result.rows || rows < 1) {
      found.problems.push(`${result.path} has ${rows} rows, its job says ${result.rows}`);
    }
  }
  return found;
}

/** Opens the pictures again, likewise. */
async function readPictures(jobs: readonly Job[], folder: string): Promise<Files> {
  const found = { files: 0, bytes: 0, problems: [] as string[] };
  const files = results<{ files: { path: string; width: number }[] }>('image.resize', jobs);
  for (const { path, width } of files.flatMap((result) => result.files)) {
    const file = join(folder, path);
    const metadata = await sharp(file)
      .metadata()
      .catch(() => ({ width: 0 }));
    found.files += 1;
    found.bytes += await stat(file).then(
      ({ size }) => size,
      () => 0,
    );
    if (metadata.width !== width) {
      found.problems.push(`${path} is ${metadata.width} pixels wide, its job says ${width}`);
    }
  }
  return found;
}

const results = <Result>(wanted: string, jobs: readonly Job[]) =>
  jobs.filter(({ name, result }) => name === wanted && result).map(({ result }) => result as Result);

function duration(jobs: readonly Job[]): number {
  const begin = jobs.map(({ createdAt }) => Date.parse(createdAt));
  const end = jobs.flatMap(({ finishedAt }) => (finishedAt ? [Date.parse(finishedAt)] : []));
  return Math.max(...end) - Math.min(...begin);
}

function renderTable(rows: readonly Row[], paint: Paint): string[] {
  const head = ['job', 'succeeded', 'dead', 'attempts', 'median wait'];
  const widths = [Math.max(...rows.map(({ name }) => name.length)), 11, 6, 10, 13];
  const render = (cells: readonly string[]) =>
    `  ${cells.map((cell, index) => (index === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[index]!))).join('')}`;
  return [
    paint('dim', render(head)),
    ...rows.map(({ name, succeeded, dead, attempts, medianWaitMs }) =>
      render([name, grouped(succeeded), grouped(dead), grouped(attempts), seconds(medianWaitMs)]),
    ),
  ];
}

const kilobytes = (bytes: number) => `${grouped(Math.round(bytes / 1_000))} kB`;

const total = (counts: Iterable<number>) => [...counts].reduce((sum, count) => sum + count, 0);
