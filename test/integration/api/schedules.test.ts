import { afterAll, beforeAll, expect, test } from '@jest/globals';
import * as contracts from '#contracts';
import { eventually } from '#testing';
import { type AppProcess, type Environment, givenEnvironment, givenProcess } from '#testing/services';
import { expectDocumented } from '../../support/documented.js';

let environment: Environment;
let api: AppProcess;
let worker: AppProcess;

beforeAll(async () => {
  environment = await givenEnvironment(Object.values(contracts));
  [api, worker] = await Promise.all([givenProcess('api', environment), givenProcess('worker', environment)]);
  await Promise.all([api.ready(), worker.ready()]);
  await eventually(async () => (await call('GET', '/schedules')).body.items.length > 0);
});
afterAll(async () => {
  await Promise.all([api?.stop(), worker?.stop()]);
  await environment?.close();
});

async function call(method: string, path: string, given?: unknown) {
  const response = await fetch(`${api.url}${path}`, {
    method,
    ...(given !== undefined && {
      body: JSON.stringify(given),
      headers: { 'content-type': 'application/json' },
    }),
  });
  const text = await response.text();
  const body = text ? JSON.parse(text) : undefined;
  expectDocumented(method, path, response.status, body);
  return { status: response.status, headers: response.headers, body };
}

/** A clone has schedules of its own beside it. */
const itemOf = ({ items }: { items: { name: string; next: string[] }[] }, name: string) =>
  items.find((item) => item.name === name)!;

test('GET /schedules lists them with their next five ticks', async () => {
  const { status, body } = await call('GET', '/schedules');
  expect(status).toBe(200);
  const { next, ...sample } = itemOf(body, 'sample.nightly');
  expect(sample).toMatchObject({
    ...{ cron: '0 0 29 2 *', timeZone: 'UTC', job: 'sample.nightly', state: 'active' },
  });
  expect(next).toHaveLength(5);
  for (const tick of next) expect(tick).toMatch(/-02-29T00:00:00\.000Z$/);
});

test('POST /schedules/{name}/run enqueues the job: 202, Location, the job, which a worker runs', async () => {
  const { status, headers, body } = await call('POST', '/schedules/sample.nightly/run');
  expect([status, headers.get('location')]).toEqual([202, `/jobs/${body.id}`]);
  expect(body).toMatchObject({ name: 'sample.nightly', queue: 'sample-nightly', payload: {} });
  await eventually(async () => (await call('GET', `/jobs/${body.id}`)).body.state === 'succeeded');
  expect(itemOf((await call('GET', '/schedules')).body, 'sample.nightly')).toMatchObject({
    lastJob: body.id,
    lastTick: null,
  });
});

test('POST /schedules/{name}/pause and /resume answer with the schedule, also when there is nothing to do', async () => {
  for (const [verb, state, ticks] of [
    ['pause', 'paused', 0],
    ['pause', 'paused', 0],
    ['resume', 'active', 5],
    ['resume', 'active', 5],
  ] as const) {
    const { status, body } = await call('POST', `/schedules/sample.nightly/${verb}`);
    expect([status, body.state, body.next.length]).toEqual([200, state, ticks]);
  }
});

test.each(['run', 'pause', 'resume'])(
  'POST /schedules/{name}/%s of an unknown schedule: 404',
  async (verb) => {
    expect(await call('POST', `/schedules/no.such/${verb}`)).toMatchObject({
      status: 404,
      body: { type: 'urn:warren:problem:unknown-schedule' },
    });
  },
);

test('a disabled schedule is listed as such, and does not run: 409', async () => {
  await environment.sql(`
    insert into schedules (name, spec, disabled, next_at)
    select 'sample.old', spec, true, now() from schedules where name = 'sample.nightly'`);
  const { body } = await call('GET', '/schedules');
  expect(itemOf(body, 'sample.old')).toMatchObject({ state: 'disabled', next: [] });
  expect(await call('POST', '/schedules/sample.old/run')).toMatchObject({
    status: 409,
    body: { type: 'urn:warren:problem:schedule-disabled' },
  });
});

test('PUT and DELETE /schedules/{name} make, change and delete a schedule beside those of the code', async () => {
  const digest = { cron: '0 7 29 2 *', timeZone: 'Europe/Berlin', job: 'sample.nightly', payload: {} };
  const path = '/schedules/digest.acme';
  expect(await call('PUT', path, digest)).toMatchObject({
    ...{ status: 201, body: { name: 'digest.acme', ...digest, madeBy: 'run-time', state: 'active' } },
  });
  expect(await call('PUT', path, { ...digest, overlap: 'skip', jitter: '30s' })).toMatchObject({
    ...{ status: 200, body: { overlap: 'skip', jitter: '30s', next: { length: 5 } } },
  });
  expect((await call('POST', `${path}/run`)).status).toBe(202);
  const { body: page } = await call('GET', '/schedules?limit=1');
  expect(page).toMatchObject({ items: [{ name: 'digest.acme' }], next: 'digest.acme' });
  expect((await call('GET', `/schedules?cursor=${page.next}`)).body).toMatchObject({
    ...{ items: expect.arrayContaining([expect.objectContaining({ name: 'sample.nightly' })]), next: null },
  });
  for (const [wrong, status, words] of [
    [{ cron: 'x' }, 422, 'five fields'],
    [{ job: 'no.such' }, 404, 'no.such'],
    [{ payload: 7 }, 422, 'does not fit'],
    [{ jitter: 'soon' }, 422, 'not what this call takes'],
    [{ also: 1 }, 422, 'not what this call takes'],
  ] as [object, number, string][]) {
    const { status: got, body } = await call('PUT', path, { ...digest, ...wrong });
    expect([got, body.detail]).toEqual([status, expect.stringContaining(words)]);
  }
  for (const method of ['PUT', 'DELETE'])
    expect(
      await call(method, '/schedules/sample.nightly', method === 'PUT' ? digest : undefined),
    ).toMatchObject({ status: 409, body: { type: 'urn:warren:problem:schedule-of-code' } });
  expect((await call('DELETE', path)).status).toBe(204);
  expect((await call('DELETE', path)).status).toBe(404);
  const audits = await environment
    .sql<{ action: string; count: number }>(
      `select action, changed as count from audit where subject = 'digest.acme' order by id`,
    )
    .catch(() =>
      environment.sql<{ action: string }>(`select action from audit where subject = 'digest.acme'`),
    );
  expect(audits.map(({ action }) => action)).toEqual(
    expect.arrayContaining(['schedule.put', 'schedule.delete']),
  );
});

test('the calls stand in the OpenAPI document', async () => {
  const { body } = await call('GET', '/openapi.json');
  const paths = Object.keys(body.paths).filter((path) => path.startsWith('/schedules'));
  expect(paths.sort()).toEqual([
    '/schedules',
    '/schedules/{name}',
    '/schedules/{name}/pause',
    '/schedules/{name}/resume',
    '/schedules/{name}/run',
  ]);
});
