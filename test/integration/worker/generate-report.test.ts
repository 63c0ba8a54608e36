import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import pg from 'pg';
import { loadSettings } from '#config';
import { GenerateReport } from '#contracts';
import { NonRetryableError } from '#jobs';
import { Database } from '#records';
import { eventually, givenJob } from '#testing';
import { FileStore } from '../../../apps/worker/src/file-store.js';
import { GenerateReportHandler } from '../../../apps/worker/src/handlers/generate-report.handler.js';
import { seedDemoSales } from '../../../scripts/demo-sales.js';

const SEEDED = 400_000;
/** Sales of a year of its own, for what the report says of each. */
const PRODUCTS = `insert into demo_sales (id, sold_at, product, quantity, price_cents) values
  (-1, '2020-02-28', 'Tea', 1, 250), (-2, '2020-02-29', 'Tea', 2, 250), (-3, '2020-02-29', 'Tea', 3, 200),
  (-4, '2020-02-29', '=1+1', 1, 1), (-5, '2020-02-29', 'Salt, "fine"', 1, 99),
  (-6, '2020-03-01', 'Tea', 1, 2000000000), (-7, '2020-03-01', 'Tea', 5, 2000000000), (-8, '2020-03-02', 'Tea', 1, 1)`;

const administration = process.env.WARREN_TEST_DATABASE_URL!;
const name = `report${randomBytes(6).toString('hex')}`;
const url = new URL(administration);
url.pathname = `/${name}`;
let folder: string;
let database: Database;
let handler: GenerateReportHandler;

beforeAll(async () => {
  await run(administration, `create database ${name}`);
  folder = await mkdtemp(join(tmpdir(), 'warren-reports-'));
  database = new Database({ url: url.href, poolSize: 2 });
  handler = new GenerateReportHandler(database, new FileStore(loadSettings({ FILES_DIR: folder })));
});

afterAll(async () => {
  await database.onApplicationShutdown();
  await run(administration, `drop database ${name} with (force)`);
  await rm(folder, { recursive: true });
});

test('without its table the report fails for good and says how to make it', async () => {
  const failed = handler.handle(givenJob(GenerateReport, { from: '2020-01-01', to: '2020-12-31' }));
  await expect(failed).rejects.toThrow(NonRetryableError);
  await expect(failed).rejects.toThrow('node dist/scripts/demo-sales.js');
  expect(await readdir(join(folder, 'reports'))).toEqual([]);
});

test('seeding again changes nothing', async () => {
  await seedDemoSales(url.href, 5_000);
  const [before] = await run(
    url.href,
    'select count(*), md5(string_agg(s::text, $$,$$ order by id)) from demo_sales s',
  );
  await seedDemoSales(url.href, 2_000);
  await run(url.href, 'delete from demo_sales where id > 2500');
  await seedDemoSales(url.href, 5_000);
  const [after] = await run(
    url.href,
    'select count(*), md5(string_agg(s::text, $$,$$ order by id)) from demo_sales s',
  );
  expect(after).toEqual(before);
  expect(before!.count).toBe('5000');
});

test('sums up by day and product, both ends of the period included', async () => {
  await run(url.href, PRODUCTS);
  const job = givenJob(GenerateReport, { from: '2020-02-29', to: '2020-03-01' });
  const result = await handler.handle(job);
  const file = await readFile(join(folder, result.path), 'utf8');
  expect(file).toBe(
    [
      'day,product,quantity,revenue_cents',
      `2020-02-29,'=1+1,1,1`,
      '2020-02-29,"Salt, ""fine""",1,99',
      '2020-02-29,Tea,5,1100',
      '2020-03-01,Tea,6,12000000000',
      '',
    ].join('\r\n'),
  );
  expect(result).toEqual({ path: `reports/${job.id}.csv`, rows: 4, bytes: Buffer.byteLength(file) });
  expect(job.told.at(-1)).toEqual({ fraction: 1, note: '6 of 6 sales' });
});

test('a period without sales gives a file with a header', async () => {
  const result = await handler.handle(givenJob(GenerateReport, { from: '1999-01-01', to: '1999-01-01' }));
  expect(result.rows).toBe(0);
  expect(await readFile(join(folder, result.path), 'utf8')).toBe('day,product,quantity,revenue_cents\r\n');
});

test('goes through 400,000 rows with flat memory, tells its progress, and comes to the same sums as SQL', async () => {
  await seedDemoSales(url.href, SEEDED);
  let most = 0;
  const told: number[] = [];
  const progress = (fraction: number) => {
    told.push(fraction);
    if (told.length % 4 === 0) most = Math.max(most, heldBytes());
  };
  const before = heldBytes();
  const { path, rows } = await handler.handle(
    givenJob(GenerateReport, { from: '2025-01-01', to: '2025-12-31' }, { progress }),
  );
  // As objects all rows take more than 80 MB.
  expect(most).toBeGreaterThan(0);
  expect(most - before).toBeLessThan(40 * 1024 * 1024);
  expect(told.length).toBeGreaterThan(15);
  expect(told).toEqual([...told].sort((a, b) => a - b));
  expect(told.at(-1)).toBe(1);

  const lines = (await readFile(join(folder, path), 'utf8')).trimEnd().split('\r\n').slice(1);
  expect(lines).toHaveLength(rows);
  const numbers = lines.map((line) => line.split(',').slice(-2).map(Number) as [number, number]);
  const [sums] = await run(
    url.href,
    `select sum(quantity)::float8 quantity, sum(quantity * price_cents)::float8 cents,
       count(distinct (sold_at, product))::int groups
     from demo_sales where sold_at between '2025-01-01' and '2025-12-31'`,
  );
  expect({
    quantity: numbers.reduce((sum, [quantity]) => sum + quantity, 0),
    cents: numbers.reduce((sum, [, cents]) => sum + cents, 0),
    groups: rows,
  }).toEqual(sums);
});

test('stops when aborted: no file, and no query that goes on', async () => {
  await seedDemoSales(url.href, SEEDED);
  const controller = new AbortController();
  const reason = new Error('time is over');
  const job = givenJob(
    GenerateReport,
    { from: '2025-01-01', to: '2025-12-31' },
    { signal: controller.signal, progress: () => controller.abort(reason) },
  );
  await expect(handler.handle(job)).rejects.toBe(reason);
  expect((await readdir(join(folder, 'reports'))).filter((file) => file.startsWith(job.id))).toEqual([]);
  await eventually(async () => {
    const [{ busy }] = (await run(
      administration,
      `select count(*)::int busy from pg_stat_activity where datname = '${name}' and query like '%order by sold_at%'`,
    )) as [{ busy: number }];
    return busy === 0;
  });
});

async function run(connectionString: string, statement: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  return client.query(statement).then(
    ({ rows }) => client.end().then(() => rows),
    (error) =>
      client.end().then(() => {
        throw error;
      }),
  );
}

/** What the heap holds once its garbage is collected: how much garbage waits is the collector's choice. */
function heldBytes(): number {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
  return process.memoryUsage().heapUsed;
}
