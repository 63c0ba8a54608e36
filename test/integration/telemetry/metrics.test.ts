import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import * as contracts from '#contracts';
import type { JobView } from '#records';
import { eventually } from '#testing';
import { type AppProcess, type Environment, givenEnvironment, givenProcess, root } from '#testing/services';
import { givenProxy, type TcpProxy } from '../../support/proxy.js';

const KEY = 'a-key-for-this-test-only';
const headers = { authorization: `Bearer ${KEY}` };

let environment: Environment;
let database: TcpProxy;
let api: AppProcess;
let worker: AppProcess;

beforeAll(async () => {
  environment = await givenEnvironment(Object.values(contracts));
  database = await givenProxy(environment.databaseUrl);
  const apart = { ...environment, databaseUrl: database.url };
  [api, worker] = await Promise.all([
    givenProcess('api', apart, { API_KEYS: KEY }),
    givenProcess('worker', environment, { SHUTDOWN_GRACE: '1s' }),
  ]);
  await Promise.all([api.ready(), worker.ready()]);
});
afterAll(async () => {
  await Promise.all([api?.stop(), worker?.stop()]);
  await database?.close();
  await environment?.close();
});

async function scrape(app: AppProcess): Promise<string> {
  const response = await fetch(`${app.url}/metrics`, { headers });
  expect([response.status, response.headers.get('content-type')]).toEqual([
    200,
    'text/plain; version=0.0.4; charset=utf-8',
  ]);
  return response.text();
}
/** The value of one series, as it is written: `jobs_in_flight{name="sample.mail"}`. */
async function seriesOf(app: AppProcess, series: string): Promise<number | undefined> {
  const line = (await scrape(app)).split('\n').find((line) => line.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length));
}
async function call(method: string, path: string, body?: unknown): Promise<JobView> {
  const response = await fetch(`${api.url}${path}`, {
    method,
    headers: { ...headers, 'content-type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  expect(response.ok).toBe(true);
  return (await response.json()) as JobView;
}
const flaky = (failures: number) => call('POST', '/jobs', { name: 'sample.flaky', payload: { failures } });
const ended = (id: string) =>
  eventually(async () => ['succeeded', 'dead'].includes((await call('GET', `/jobs/${id}`)).state));

/** The names of the metrics in an expression: what is neither a function, nor a label, nor in quotes. */
function namesIn(expression: string): string[] {
  const bare = expression.replace(/"[^"]*"/g, '').replace(/\{[^}]*\}|\b(by|on|without) \([^)]*\)/g, '');
  return bare.match(/\b[a-z]+(_[a-z0-9]+)+\b(?! *\()/g) ?? [];
}

test('counts, per contract, what was accepted, tried and ended, and how long it waited and ran', async () => {
  const jobs = await Promise.all([flaky(0), flaky(1)]);
  await Promise.all(jobs.map(({ id }) => ended(id)));
  const shared = 'name="sample.flaky"';
  expect(await seriesOf(api, `jobs_enqueued_total{${shared}}`)).toBe(2);
  expect(await seriesOf(worker, `job_attempts_total{${shared},outcome="failed"}`)).toBe(1);
  expect(await seriesOf(worker, `job_attempts_total{${shared},outcome="succeeded"}`)).toBe(2);
  expect(await seriesOf(worker, `jobs_completed_total{${shared},outcome="succeeded"}`)).toBe(2);
  expect(await seriesOf(worker, `jobs_completed_total{${shared},outcome="dead"}`)).toBe(0);
  expect(await seriesOf(worker, `job_duration_seconds_count{${shared}}`)).toBe(3);
  expect(await seriesOf(worker, 'job_queue_wait_seconds_count{queue="sample-flaky"}')).toBe(3);
  expect(await seriesOf(worker, `jobs_in_flight{${shared}}`)).toBe(0);
  expect(
    await seriesOf(api, 'http_request_duration_seconds_count{method="POST",route="/jobs",status="2xx"}'),
  ).toBe(2);
});

test('shows queues, dead letters and consumers as records and broker know them', async () => {
  await environment.publish('sample.flaky', 'no JSON', { type: 'sample.flaky' });
  // The worker may make no calls: tried once.
  const payload = { url: 'http://127.0.0.1:1/', type: 'test', data: null };
  const { id } = await call('POST', '/jobs', { name: 'sample.call', payload });
  await ended(id);
  for (const queue of ['sample-flaky', 'sample-call'])
    await eventually(async () => (await seriesOf(api, `dlq_messages{queue="${queue}"}`)) === 1);
  await call('POST', '/queues/sample-flaky/pause');
  await eventually(async () => (await environment.countConsumers('sample-flaky')) === 0);
  const waiting = await flaky(0);
  await eventually(
    async () => (await seriesOf(api, 'queue_jobs{queue="sample-flaky",state="queued"}')) === 1,
  );
  expect(await seriesOf(api, 'job_oldest_ready_age_seconds{queue="sample-flaky"}')).toBeGreaterThan(0);
  expect(await seriesOf(api, 'queue_paused{queue="sample-flaky"}')).toBe(1);
  expect(await seriesOf(api, 'queue_consumers{queue="sample-mail"}')).toBe(1);
  expect(await seriesOf(api, 'broker_connection_up')).toBe(1);
  expect(await seriesOf(worker, 'broker_connection_blocked')).toBe(0);
  const late = await call('POST', '/jobs', {
    name: 'sample.flaky',
    payload: { failures: 0 },
    options: { startWithin: '100ms' },
  });
  await ended(late.id);
  await eventually(
    async () => (await seriesOf(worker, 'jobs_completed_total{name="sample.flaky",outcome="dead"}')) === 1,
  );
  await call('POST', '/queues/sample-flaky/resume');
  await ended(waiting.id);
  // Nobody has this queue, and one who looks at the alarm NoConsumers should know.
  await environment.sql(
    `insert into jobs (id, name, queue, state, payload, max_attempts, run_at)
     values (gen_random_uuid(), 'sample.flaky', 'flaky-before', 'queued', '{}', 1, now())`,
  );
  await eventually(async () => (await seriesOf(api, 'queue_consumers{queue="flaky-before"}')) === 0);
  await environment.sql(`delete from jobs where queue = 'flaky-before'`);
});

test('labels are few: contracts that nobody knows are one, and no id gets in', async () => {
  const id = '0190b8a4-0000-7000-8000-000000000001';
  await environment.publishTo('jobs', 'queue.sample-flaky.made.up', '{}', { type: 'made.up', messageId: id });
  await fetch(`${api.url}/nowhere/${id}`, { headers, method: 'DELETE' });
  const { id: known } = await flaky(0);
  await ended(known);
  const texts = (await Promise.all([scrape(api), scrape(worker)])).join('\n');
  expect(texts).not.toContain(id);
  expect(texts).not.toContain(known);
  expect(texts).not.toContain('made.up');
  expect(texts).toContain('method="DELETE",route="other",status="4xx"');
});

/** What the panels of the dashboard in Grafana ask for. */
async function panelExpressions(): Promise<string[]> {
  const text = await readFile(join(root, 'docker/grafana/dashboards/warren.json'), 'utf8');
  const { panels } = JSON.parse(text) as { panels: { targets?: { expr: string }[] }[] };
  return panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
}

test('every metric that the dashboard and the alarms name is there', async () => {
  await ended((await call('POST', '/schedules/sample.nightly/run')).id);
  const alarms = await readFile(join(root, 'docker/prometheus/alerts.yml'), 'utf8');
  const expressions = [
    ...(await panelExpressions()),
    ...[...alarms.matchAll(/^ +expr: (.*)$/gm)].map(([, expression]) => expression as string),
  ];
  const named = new Set(expressions.flatMap(namesIn));
  expect(named.size).toBeGreaterThan(20);
  await eventually(async () => {
    const lines = (await Promise.all([scrape(api), scrape(worker)])).flatMap((text) => text.split('\n'));
    const sampled = new Set(lines.map((line) => /^\w+/.exec(line)?.[0]));
    expect([...named].filter((name) => !sampled.has(name))).toEqual([]);
    return true;
  });
});

test('docs/metrics.md lists every metric of ours', async () => {
  const page = await readFile(join(root, 'docs/metrics.md'), 'utf8');
  const listed = new Set([...page.matchAll(/^\| `(\w+)/gm)].map(([, name]) => name));
  const texts = (await Promise.all([scrape(api), scrape(worker)])).join('\n');
  const defined = new Set([...texts.matchAll(/^# TYPE (\w+)/gm)].map(([, name]) => name as string));
  const ours = [...defined].filter((name) => !/^(process|nodejs)_/.test(name));
  expect([...listed].sort()).toEqual(ours.sort());
});

test('a scrape needs the key on the api; it answers without the database, and leaves out what it cannot know', async () => {
  const withoutKey = await Promise.all([api, worker].map(({ url }) => fetch(`${url}/metrics`)));
  expect(withoutKey.map(({ status }) => status)).toEqual([401, 200]);
  await Promise.all(withoutKey.map((response) => response.text()));

  database.cut();
  const lookedUp = ['queue_jobs', 'outbox_pending', 'schedule_period_seconds'];
  await eventually(async () => {
    const text = await scrape(api);
    return lookedUp.every((name) => !text.includes(name)) && text.includes('jobs_enqueued_total{');
  });
  database.mend();
  await eventually(async () => {
    const text = await scrape(api);
    return lookedUp.every((name) => text.includes(name));
  });
});

const hasPromtool = spawnSync('promtool', ['--version']).status === 0;
(hasPromtool ? test : test.skip)(
  'promtool takes the rules, the settings, a scrape, and what the panels ask for',
  async () => {
    const folder = join(root, 'docker/prometheus');
    execFileSync('promtool', ['check', 'rules', join(folder, 'alerts.yml')]);
    execFileSync('promtool', ['test', 'rules', join(folder, 'alerts.test.yml')]);
    execFileSync('promtool', ['check', 'config', '--syntax-only', join(folder, 'prometheus.yml')]);
    // As rules, which it reads; Grafana puts in the interval.
    const rules = (await panelExpressions()).map((expr, index) => ({
      record: `panel:${index}`,
      expr: expr.replaceAll('$__rate_interval', '5m'),
    }));
    const file = join(await mkdtemp(join(tmpdir(), 'warren-panels-')), 'panels.yml');
    await writeFile(file, JSON.stringify({ groups: [{ name: 'panels', rules }] }));
    execFileSync('promtool', ['check', 'rules', file]);
    await rm(dirname(file), { recursive: true });
    for (const app of [api, worker]) {
      // It also has an opinion on names, and not a high one of those that prom-client gives to what it knows of Node.
      const input = (await scrape(app)).replace(/^(# \w+ )?nodejs_.*\n/gm, '');
      execFileSync('promtool', ['check', 'metrics'], { input });
    }
  },
);

test('P8: scrapes whose answers nobody reads, and connections on which nothing comes, keep no worker from ending', async () => {
  const { port } = new URL(worker.url);
  const unused = connect(Number(port), '127.0.0.1').on('error', () => {});
  await once(unused, 'connect');
  await Promise.all(Array.from({ length: 5 }, () => fetch(`${worker.url}/metrics`)));
  expect(await worker.stop()).toBe(0);
});
