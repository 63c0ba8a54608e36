import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { z } from 'zod';
import { defineJob, type Handler, type JobContext, JobHandler, NonRetryableError } from '#jobs';
import { Audit, DeadJobStore, JobSearch, type RecordsDatabase, Retention, Throughput } from '#records';
import { type Environment, givenEnvironment, givenProducer, givenWorker } from '#testing/services';

const Work = defineJob({ name: 'work', queue: 'work', payload: z.object({ fails: z.boolean() }) });

@JobHandler(Work)
class WorkHandler implements Handler<typeof Work> {
  static done = 0;

  async handle({ payload }: JobContext<typeof Work>) {
    WorkHandler.done++;
    if (payload.fails) throw new NonRetryableError('no');
    return null;
  }
}

const contracts = [Work];
let environment: Environment;
let producer: Awaited<ReturnType<typeof givenProducer>>;

beforeAll(async () => {
  environment = await givenEnvironment(contracts);
  producer = await givenProducer(environment, { contracts });
});
afterAll(async () => {
  await producer?.close();
  await environment?.close();
});

test('a worker that stops leaves the counts of what it did, by queue and by time', async () => {
  const worker = await givenWorker(environment, { contracts, handlers: [WorkHandler] });
  await Promise.all([false, false, true].map((fails) => producer.jobs.enqueue(Work, { fails })));
  while (WorkHandler.done < 3) await new Promise((resolve) => setTimeout(resolve, 20));
  await worker.close();
  const throughput = producer.app.get(Throughput);
  const expected = { succeeded: 2, retrying: 0, dead: 1, cancelled: 0 };
  expect((await throughput.ofLastHour()).get('work')).toEqual(expected);
  for (const [steps, stepS] of [
    [60, 60],
    [96, 900],
    [84, 7_200],
  ] as const) {
    const tallies = await throughput.since(steps, stepS);
    expect(tallies).toHaveLength(steps);
    const newest = tallies.slice(-2);
    expect(newest.reduce((sum, { succeeded, dead }) => sum + succeeded + dead, 0)).toBe(3);
    expect(Date.now() - (tallies.at(-1)?.at.getTime() ?? 0)).toBeLessThan(stepS * 1_000);
  }
});

test('of the newest jobs those that succeeded tell how long they waited and ran, by contract', async () => {
  await environment.sql(
    `insert into jobs (id, name, queue, state, payload, max_attempts, run_at, started_at, finished_at)
     select ('f0000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'timed', 'other',
       case when n > 20 then 'dead' else 'succeeded' end, '{}', 1, now(), now() + n * interval '1 second',
       now() + n * interval '1.5 seconds'
     from generate_series(1, 25) n`,
  );
  const times = await producer.app.get(JobSearch).times();
  expect(times).toEqual([
    { name: 'timed', count: 20, waited: [10_000, 19_000], ran: [5_000, 9_500] },
    expect.objectContaining({ name: 'work', count: 2 }),
  ]);
  await environment.sql(`delete from jobs where name = 'timed'`);
});

test('a search looks at so many jobs and says where it can go on', async () => {
  await environment.sql(
    `insert into jobs (id, name, queue, state, payload, max_attempts, run_at, created_at, finished_at)
     select (lpad(to_hex(i), 8, '0') || '-0000-7000-8000-000000000000')::uuid, case when i = 5 then 'rare' else 'common' end,
       'other', case when i % 4 = 0 then 'dead' else 'succeeded' end, '{}', 1, now(), now(), '2000-01-01'
     from generate_series(1, 45000) i`,
  );
  const search = producer.app.get(JobSearch);
  const visited: number[] = [];
  let found: string[] = [];
  for (let before: string | undefined; found.length === 0; ) {
    const page = await search.find({ name: 'rare', before, limit: 10 });
    found = page.items.map(({ name }) => name);
    visited.push(page.items.length);
    if (!page.next) break;
    expect(page.isCutOff).toBe(true);
    before = page.next;
  }
  expect(found).toEqual(['rare']);
  expect(visited).toEqual([0, 0, 1]);

  const first = await search.find({ queue: 'other', state: 'dead', limit: 10 });
  expect(first.items).toHaveLength(10);
  expect(first.items[0]?.id).toMatch(/^0000afc8-/);
  const second = await search.find({ queue: 'other', state: 'dead', before: first.next ?? '', limit: 10 });
  expect(second.items[0]?.id).toMatch(/^0000afa0-/);
  const rest = await search.find({
    state: 'dead',
    before: '00000008-0000-7000-8000-000000000000',
    limit: 10,
  });
  expect(rest).toMatchObject({ items: [{ name: 'common' }], next: null, isCutOff: false });
  const succeeded = await search.find({ state: 'succeeded', name: 'common', limit: 1_000 });
  expect(succeeded.items).toHaveLength(1_000);
  expect(new Set(succeeded.items.map(({ state }) => state))).toEqual(new Set(['succeeded']));
});

test('dead letters are counted, grouped and looked for in an index only, however many jobs there are', async () => {
  await environment.sql(
    `update jobs set error_form = 'of ' || (id::text::bytea)::text, finished_at = now() where state = 'dead'`,
  );
  await environment.sql('vacuum (analyze) jobs');
  const plans: string[] = [];
  const explaining = {
    query: async ({ text, values }: { text: string; values: unknown[] }) => {
      const rows = await environment.sql(`explain ${text}`, values);
      plans.push(rows.map((row) => row['QUERY PLAN']).join('\n'));
      return { rows: [] };
    },
  };
  const dead = new DeadJobStore(explaining as unknown as RecordsDatabase);
  for (const filter of [{}, { queue: 'other' }, { error: 'OF' }, { errorForm: 'of' }, { to: new Date() }]) {
    await dead.count(filter);
    await dead.groups(filter);
  }
  expect(plans).toHaveLength(10);
  for (const plan of plans) {
    expect(plan).toMatch(/Index Only Scan using jobs_dead/);
    expect(plan).not.toMatch(/Seq Scan|Bitmap Heap Scan/);
  }
});

test('an action that throws keeps its line, without a count', async () => {
  const audit = producer.app.get(Audit);
  const action = { actor: 'root', via: 'cli' as const, action: 'job.cancel', subject: 'a\nb\0c' };
  await expect(audit.record(action, () => Promise.reject(new Error('cut off')))).rejects.toThrow('cut off');
  await audit.record(action, async () => 7);
  const lines = await audit.list(10);
  expect(lines.map(({ count, subject }) => [count, subject])).toEqual([
    [7, 'a b c'],
    [null, 'a b c'],
  ]);
  expect(await audit.list(10, lines[0]?.id)).toHaveLength(1);
});

test('counts are kept for a day by the minute and a week by the quarter, actions for a year', async () => {
  await environment.sql('truncate throughput, audit');
  await environment.sql(
    `insert into throughput select step, now() - age::interval, 'q', 'succeeded', 1
     from (values (60, '23 h'), (60, '25 h'), (900, '6 d'), (900, '8 d')) as v (step, age)`,
  );
  await environment.sql(
    `insert into audit (at, actor, via, action, subject)
     select now() - age::interval, 'a', 'cli', 'd', 's' from unnest(array['360 d', '370 d']) age`,
  );
  const age = 30 * 86_400_000;
  const ages = { succeeded: age, cancelled: age, discarded: age, others: age };
  for await (const _ of producer.app.get(Retention).prune(ages));
  const steps = await environment.sql<{ step_s: number }>('select step_s from throughput order by 1');
  expect(steps.map(({ step_s }) => step_s)).toEqual([60, 900]);
  expect(await environment.sql('select 1 from audit')).toHaveLength(1);
});

test('a search in payloads looks at so many jobs, and goes on from there until it has seen them all', async () => {
  const search = producer.app.get(JobSearch);
  await environment.sql(
    `update jobs set payload = '{"customer":{"id":42},"odd":"\\u0000"}' where id = '00000007-0000-7000-8000-000000000000'`,
  );
  await environment.sql(
    `update jobs set payload = '{"customer":{"id":"42"}}' where id = '00000008-0000-7000-8000-000000000000'`,
  );
  const where = { path: ['customer', 'id'], value: '42' };
  const found: string[] = [];
  let looks = 0;
  for (let before: string | undefined; ; looks++) {
    const { items, next, isCutOff, lookedBackTo } = await search.find({
      where,
      queue: 'other',
      limit: 10,
      before,
    });
    found.push(...items.map(({ id }) => id));
    if (!next) break;
    expect([isCutOff, lookedBackTo]).toEqual([true, expect.any(Date)]);
    before = next;
  }
  // What PostgreSQL can make no text of is not found, and stops nothing.
  expect(found).toEqual(['00000008-0000-7000-8000-000000000000']);
  expect(looks).toBeGreaterThan(2);
});
