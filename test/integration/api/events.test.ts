import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import * as contracts from '#contracts';
import { type Handler, type JobContext, JobHandler } from '#jobs';
import type { JobView } from '#records';
import { eventually } from '#testing';
import {
  type AppProcess,
  type Environment,
  givenEnvironment,
  givenProcess,
  givenWorker,
} from '#testing/services';
import { SampleFlaky } from '../../samples/contracts.js';
import { type EventStream, givenEventStream } from '../../support/event-stream.js';
import { givenSocket, head } from '../../support/raw-http.js';

/** Tells its progress and goes on when the test says so; fails as often as it was told to. */
@JobHandler(SampleFlaky)
class FlakyHandler implements Handler<typeof SampleFlaky> {
  static goOn: (() => void)[] = [];

  async handle({ payload, attempt, progress }: JobContext<typeof SampleFlaky>) {
    for (const step of [0.25, 0.75]) {
      progress(step, `step ${step}`);
      await new Promise<void>((resolve) => FlakyHandler.goOn.push(resolve));
    }
    if (attempt <= payload.failures) throw new Error(`failure ${attempt}`);
    return { attempts: attempt };
  }
}

let environment: Environment;
let api: AppProcess;
let worker: Awaited<ReturnType<typeof givenWorker>>;
const streams: EventStream[] = [];

beforeAll(async () => {
  environment = await givenEnvironment(Object.values(contracts));
  api = await (await givenProcess('api', environment)).ready();
  worker = await givenWorker(environment, {
    contracts: Object.values(contracts),
    handlers: [FlakyHandler],
    settings: { WORKER_QUEUES: ['sample-flaky'] },
  });
});
afterEach(async () => {
  for (const stream of streams.splice(0)) stream.close();
  await eventually(async () => {
    for (const goOn of FlakyHandler.goOn.splice(0)) goOn();
    const left = await environment.sql(`select id from jobs where state not in ('succeeded', 'dead')`);
    return left.length === 0;
  });
});
afterAll(async () => {
  expect(await api?.stop()).toBe(0);
  await worker?.close();
  await environment?.close();
});

async function enqueue(failures: number, headers: Record<string, string> = {}, on = api) {
  const response = await fetch(`${on.url}/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ name: 'sample.flaky', payload: { failures } }),
  });
  return { status: response.status, headers: response.headers, job: (await response.json()) as JobView };
}
async function follow(id: string, last?: string, on = api): Promise<EventStream> {
  const headers: Record<string, string> = last === undefined ? {} : { 'last-event-id': last };
  const stream = await givenEventStream(`${on.url}/jobs/${id}/events`, headers);
  streams.push(stream);
  return stream;
}
const goOn = () => eventually(() => FlakyHandler.goOn.shift()).then((next) => next());
const shorten = ({ events }: EventStream) =>
  events.map(({ id, event, data }) =>
    event === 'progress' ? `${id} ${data.note}` : `${id} ${data.attempt}`,
  );

const WHOLE = [
  '0.queued 0',
  '1.running 1',
  '1.progress.0.25 step 0.25',
  '1.progress.0.75 step 0.75',
  '1.retrying 1',
  '2.running 2',
  '2.progress.0.25 step 0.25',
  '2.progress.0.75 step 0.75',
  '2.succeeded 2',
];

test('what is no HTTP ends a stream, and nothing is written into it', async () => {
  const { job } = await enqueue(0);
  const socket = await givenSocket(api.url);
  let text = '';
  socket.on('data', (chunk) => (text += chunk));
  socket.write(head(`GET /jobs/${job.id}/events`));
  await eventually(() => text.includes('event: state'));
  socket.write('HELO there\r\n\r\n');
  await once(socket, 'close');
  expect(text.match(/HTTP\/1\.1/g)).toHaveLength(1);
});

test('every change of state and progress is told as it happens, until the end, and a client that lost its connection goes on where it was', async () => {
  const { job } = await enqueue(1);
  const stream = await follow(job.id);
  expect(stream.response.headers.get('content-type')).toBe('text/event-stream');
  expect(stream.response.headers.get('cache-control')).toBe('no-cache');
  for (let seen = 3; seen < WHOLE.length; seen++) {
    await eventually(() => stream.events.length >= seen);
    if (stream.events.at(-1)?.event === 'progress' && stream.events.length === seen) await goOn();
  }
  await stream.ended;
  expect(shorten(stream)).toEqual(WHOLE);
  expect(stream.events[4]?.data).toEqual({
    state: 'retrying',
    attempt: 1,
    at: expect.any(String),
    error: 'failure 1',
  });

  // What was told while nobody listened is told from the record: all but the progress, which has been overtaken.
  for (const [index, { id }] of stream.events.slice(0, -1).entries()) {
    const resumed = await follow(job.id, id);
    await resumed.ended;
    expect(shorten(resumed)).toEqual(WHOLE.slice(index + 1).filter((event) => !event.includes('progress')));
  }
  // And a browser, which connects again by itself, is told to stop.
  expect((await follow(job.id, stream.events.at(-1)?.id)).response.status).toBe(204);
});

test('anyone who comes late or with an id of somebody else’s gets everything', async () => {
  const { job } = await enqueue(0);
  await goOn();
  await goOn();
  await eventually(async () => {
    const response = await fetch(`${api.url}/jobs/${job.id}`);
    return ((await response.json()) as JobView).state === 'succeeded';
  });
  for (const last of [undefined, 'nonsense', '-1', '1.flying']) {
    const stream = await follow(job.id, last);
    await stream.ended;
    expect(shorten(stream)).toEqual(['0.queued 0', '1.running 1', '1.succeeded 1']);
  }
});

test('there are no events of a job that does not exist', async () => {
  for (const id of ['no-uuid', '01890a5d-ac96-774b-bcce-b302099a8057']) {
    const { response } = await follow(id);
    expect(response.status).toBe(404);
    expect(response.headers.get('content-type')).toContain('application/problem+json');
  }
});

test('a request for the headers alone does not hold on to anything', async () => {
  const { job } = await enqueue(0);
  const response = await fetch(`${api.url}/jobs/${job.id}/events`, { method: 'HEAD' });
  expect(response.status).toBe(200);
});

test('P15: at most 1,000 follow jobs; the next one is told to come later, and may when one has left', async () => {
  const { job } = await enqueue(0);
  const many: EventStream[] = [];
  while (many.length < 1_000)
    many.push(...(await Promise.all(Array.from({ length: 100 }, () => follow(job.id)))));
  expect(many.every(({ response }) => response.status === 200)).toBe(true);
  const refused = await follow(job.id);
  expect(refused.response.status).toBe(503);
  expect(refused.response.headers.get('retry-after')).toBe('5');
  many[0]?.close();
  await eventually(async () => (await follow(job.id)).response.status === 200);
});

test('on SIGTERM streams are closed and the api exits 0', async () => {
  const other = await (await givenProcess('api', environment)).ready();
  const { job } = await enqueue(0);
  const stream = await follow(job.id, undefined, other);
  const waiting = enqueue(0, { prefer: 'wait=30' }, other);
  await eventually(() => stream.events.length >= 3);
  await eventually(() => FlakyHandler.goOn.length === 2);
  expect(await other.stop()).toBe(0);
  await stream.ended;
  expect((await waiting).status).toBe(202);
});

test('P15: clients that do not read their answers, or never end their requests, keep no api from ending', async () => {
  // A page of a list that no buffer on the way holds.
  await environment.sql(
    `insert into jobs (id, name, queue, state, payload, attempt, max_attempts, run_at, started_at, finished_at)
     select gen_random_uuid(), 'sample.flaky', 'sample-flaky', 'succeeded', to_json(md5(i::text) || repeat('x', 8000)), 1, 1,
       now(), now(), now()
     from generate_series(1, 1000) i`,
  );
  const other = await (await givenProcess('api', environment)).ready();
  const { job } = await enqueue(0);
  const send = async (request: string): Promise<Socket> => {
    const socket = connect(Number(new URL(other.url).port), '127.0.0.1');
    // It takes what its buffer holds, and no more.
    socket.on('readable', () => {});
    socket.on('error', () => {});
    await once(socket, 'connect');
    socket.write(`${request} HTTP/1.1\r\nhost: localhost\r\n`);
    return socket;
  };
  const unread = await Promise.all([
    ...Array.from({ length: 3 }, () => send('GET /jobs?limit=1000')),
    send(`GET /jobs/${job.id}/events`),
    send('GET /dashboard/events'),
  ]);
  for (const socket of unread) socket.write('\r\n');
  const unended = await send('POST /jobs');
  unended.write('content-type: application/json\r\ncontent-length: 100\r\n\r\n{"name":');
  const begun = await send('GET /jobs');
  // Of each answer something has come, of which nobody takes notice.
  await eventually(() => unread.every((socket) => socket.readableLength > 0));
  expect(await other.stop()).toBe(0);
  for (const socket of [...unread, unended, begun]) socket.destroy();
});

test('Prefer: wait=N answers with the result when the job ends in time, and as usual when it does not', async () => {
  const answer = enqueue(0, { prefer: 'respond-async, wait=20' });
  await goOn();
  await goOn();
  const { status, headers, job } = await answer;
  expect([status, headers.get('preference-applied'), headers.get('vary')]).toEqual([
    200,
    'wait=20',
    'Prefer',
  ]);
  expect(headers.get('location')).toBe(`/jobs/${job.id}`);
  expect(job).toMatchObject({ state: 'succeeded', result: { attempts: 1 } });

  const early = await enqueue(0, { prefer: 'wait=1' });
  expect([early.status, early.headers.get('preference-applied')]).toEqual([202, 'wait=1']);
  const ignored = await enqueue(0, { prefer: 'wait=soon' });
  expect([ignored.status, ignored.headers.get('preference-applied')]).toEqual([202, null]);
});
