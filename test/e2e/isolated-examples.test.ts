import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import sharp from 'sharp';
import * as contracts from '#contracts';
import type { AnyContract, PayloadInput } from '#jobs';
import { JobQueries, type JobView } from '#records';
import { eventually } from '#testing';
import {
  type AppProcess,
  type Environment,
  givenEnvironment,
  givenProcess,
  givenProducer,
} from '#testing/services';
import { seedDemoSales } from '../../scripts/demo-sales.js';

let environment: Environment;
let producer: Awaited<ReturnType<typeof givenProducer>>;
let worker: AppProcess;
let folder: string;

beforeAll(async () => {
  const all = Object.values(contracts);
  environment = await givenEnvironment(all);
  producer = await givenProducer(environment, { contracts: all });
  folder = await mkdtemp(join(tmpdir(), 'warren-isolated-'));
  await mkdir(join(folder, 'in'));
  await sharp({ create: { width: 400, height: 200, channels: 3, background: '#c33' } })
    .png()
    .toFile(join(folder, 'in/red.png'));
  await seedDemoSales(environment.databaseUrl, 2_000);
  worker = await givenProcess('worker', environment, { FILES_DIR: folder });
  await worker.ready();
});
afterAll(async () => {
  await worker?.stop('SIGKILL');
  await producer?.close();
  await environment?.close();
  await rm(folder, { recursive: true });
});

async function run<C extends AnyContract>(contract: C, payload: PayloadInput<C>): Promise<JobView> {
  const { id } = await producer.jobs.enqueue(contract, payload);
  return eventually(async () => {
    const job = await producer.app.get(JobQueries).find(id);
    return job?.finishedAt ? job : undefined;
  }, 40_000);
}

test('stacks in records and in the log name the file and the line of the TypeScript, of threads too', async () => {
  const [failed, isolated] = await Promise.all([
    run(contracts.DemoFlaky, { failures: 1 }),
    run(contracts.ResizeImage, { source: 'in/none.png', widths: [100], format: 'jpeg' }),
  ]);
  for (const [{ attempts }, name] of [
    [failed, 'demo-flaky.handler.ts'],
    [isolated, 'file-store.ts'],
  ] as const) {
    const stack = attempts[0]?.error?.stack ?? '';
    const [, file = stack, line] = /^ +at (?:.+ \()?(\/.+):(\d+):\d+\)?$/m.exec(stack) ?? [];
    expect(basename(file)).toBe(name);
    // Built beside the tests' own jobs, an app lies two folders deeper.
    expect(
      (await readFile(file.replace(/dist\/with\/\w+\//, ''), 'utf8')).split('\n')[Number(line) - 1],
    ).toContain('throw new');
    expect(stack).not.toMatch(/dist\/(apps|libs)/);
  }
  expect(worker.output()).not.toMatch(/dist\/(apps|libs)/);
});

test('image.resize and report.generate run in threads of the built worker, which ends in good order with them', async () => {
  const [picture, report] = await Promise.all([
    run(contracts.ResizeImage, { source: 'in/red.png', widths: [100], format: 'jpeg' }),
    run(contracts.GenerateReport, { from: '2000-01-01', to: '2099-12-31' }),
  ]);
  expect(picture).toMatchObject({ state: 'succeeded', result: { files: [{ width: 100, height: 50 }] } });
  expect(report).toMatchObject({ state: 'succeeded', progress: 1 });
  const { path, rows } = report.result as { path: string; rows: number };
  expect((await readFile(join(folder, path), 'utf8')).trimEnd().split('\r\n')).toHaveLength(rows + 1);

  expect(await worker.stop('SIGTERM')).toBe(0);
  const lines = worker
    .output()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  expect(lines).toContainEqual(
    expect.objectContaining({ app: 'worker', job: report.id, attempt: 1, path, msg: 'Report written' }),
  );
});
