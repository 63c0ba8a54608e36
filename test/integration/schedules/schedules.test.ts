import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { INestApplicationContext } from '@nestjs/common';
import { z } from 'zod';
import { defineJob, encrypted } from '#jobs';
import { defineSchedule, type Schedule, Schedules, SchedulesModule } from '#schedules';
import { eventually } from '#testing';
import { type Environment, givenEnvironment, givenProducer, givenWorker } from '#testing/services';

const Note = defineJob({ name: 'note', queue: 'note', payload: z.object({ text: z.string() }) });
/** On the minute that was half an hour ago, so that no tick falls into a test. */
const minute = (new Date().getUTCMinutes() + 30) % 60;
const hourly = {
  name: 'note.hourly',
  cron: `${minute} * * * *`,
  job: Note,
  payload: { text: 'hello' },
} as const;

let environment: Environment;
const apps: { app: INestApplicationContext; close(): Promise<void> }[] = [];

beforeAll(async () => {
  environment = await givenEnvironment([Note]);
});
afterAll(async () => {
  await environment?.close();
});
beforeEach(async () => {
  await environment.sql('truncate jobs, schedules, schedule_ticks cascade');
});
afterEach(async () => {
  await Promise.all(apps.splice(0).map(({ close }) => close()));
});

/** An app whose scheduler runs, and that runs no jobs. Its rows stand when this resolves. */
async function givenScheduler(...schedules: Schedule[]) {
  const producer = await givenProducer(environment, {
    contracts: [Note],
    imports: [SchedulesModule.forRoot({ schedules })],
  });
  apps.push(producer);
  await eventually(async () => {
    const names = (await rows()).map(({ name }) => name);
    return schedules.every(({ name }) => names.includes(name));
  });
  return producer.app.get(Schedules);
}
async function stopSchedulers() {
  await Promise.all(apps.splice(0).map(({ close }) => close()));
}
const rows = () =>
  environment.sql<{ name: string; next_at: Date; disabled: boolean }>('select * from schedules');
const ticks = () =>
  environment.sql<{ tick: Date; outcome: string; job: string | null }>(
    'select * from schedule_ticks order by tick',
  );
const outcomes = async () => (await ticks()).map(({ outcome }) => outcome);
const jobs = () => environment.sql<{ id: string; payload: unknown }>('select * from jobs order by id');
/** As if nobody had looked since before the last three ticks; the clock itself belongs to the database. */
const missThree = () =>
  environment.sql(`update schedules set next_at = now() - interval '2 hours 45 minutes'`);
const isDecided = () =>
  eventually(async () => (await rows()).every(({ next_at, disabled }) => disabled || next_at > new Date()));

test('a new schedule begins with its next tick: nothing is made up for', async () => {
  const schedules = await givenScheduler(defineSchedule(hourly));
  expect(await rows()).toMatchObject([{ name: 'note.hourly', disabled: false }]);
  expect((await rows())[0]!.next_at.getTime()).toBeGreaterThan(Date.now());
  const shown = await schedules.find('note.hourly');
  expect(shown).toMatchObject({
    name: 'note.hourly',
    cron: hourly.cron,
    timeZone: 'UTC',
    job: 'note',
    payload: { text: 'hello' },
    missed: 'once',
    overlap: 'allow',
    jitter: '0ms',
    state: 'active',
    lastTick: null,
    lastJob: null,
  });
  const hours = shown!.next.map((tick) => tick.getTime() / 3_600_000);
  expect(hours).toEqual([0, 1, 2, 3, 4].map((n) => hours[0]! + n));
});

test.each([
  ['skip', ['missed', 'missed', 'missed'], 0],
  ['once', ['missed', 'missed', 'enqueued'], 1],
  ['all', ['enqueued', 'enqueued', 'enqueued'], 3],
] as const)('missed ticks, %s: %j', async (missed, expected, made) => {
  await givenScheduler(defineSchedule({ ...hourly, missed }));
  await missThree();
  await isDecided();
  expect(await outcomes()).toEqual(expected);
  expect((await jobs()).map(({ payload }) => payload)).toEqual(Array(made).fill(hourly.payload));
});

test('across a restart the plan goes on where it was', async () => {
  await givenScheduler(defineSchedule(hourly));
  await stopSchedulers();
  await missThree();
  await givenScheduler(defineSchedule(hourly));
  await isDecided();
  expect(await outcomes()).toEqual(['missed', 'missed', 'enqueued']);
});

test('P11: a tick that was decided on is not decided on again, though the plan is moved back', async () => {
  await givenScheduler(defineSchedule({ ...hourly, missed: 'all' }));
  for (let round = 0; round < 3; round++) {
    await missThree();
    await isDecided();
  }
  expect(await outcomes()).toEqual(['enqueued', 'enqueued', 'enqueued']);
  expect((await jobs()).map(({ id }) => id)).toEqual((await ticks()).map(({ job }) => job));
});

test('P11: tick and job are one: without the job there is no tick, and then there are both', async () => {
  await givenScheduler(defineSchedule(hourly), defineSchedule({ ...hourly, name: 'note.other' }));
  // Refuses every job, and counts how often: a sequence is not rolled back.
  await environment.sql('create sequence refusals');
  await environment.sql(`alter table jobs add constraint refused check (nextval('refusals') < 0)`);
  await environment.sql(`update schedules set next_at = now() - interval '45 minutes'`);
  await eventually(async () => {
    const [row] = await environment.sql<{ count: number }>('select last_value::int as count from refusals');
    return row!.count >= 4;
  });
  expect(await ticks()).toEqual([]);
  await environment.sql('alter table jobs drop constraint refused');
  await isDecided();
  expect(await outcomes()).toEqual(['enqueued', 'enqueued']);
  expect(await jobs()).toHaveLength(2);
});

test('P11: each Sunday at 02:30 in Berlin, a hundred of them, through four changes of the clocks', async () => {
  const sundays = defineSchedule({
    ...hourly,
    name: 'note.sundays',
    cron: '30 2 * * SUN',
    timeZone: 'Europe/Berlin',
    missed: 'all',
  });
  await Promise.all([givenScheduler(sundays), givenScheduler(sundays)]);
  await environment.sql(`update schedules set next_at = now() - interval '110 weeks'`);
  await isDecided();
  const clock = new Intl.DateTimeFormat('sv-SE', {
    timeZone: 'Europe/Berlin',
    dateStyle: 'short',
    timeStyle: 'short',
  });
  const fired = (await ticks()).map(({ tick }) => clock.format(tick).split(' ') as [string, string]);
  const days = fired.map(([day]) => Date.parse(day) / 86_400_000);
  expect(days).toEqual(Array.from({ length: 100 }, (_, week) => days[0]! + 7 * week));
  // The last Sunday of March has no 02:30.
  for (const [day, time] of fired) {
    expect([day, time]).toEqual([day, /-03-(2[5-9]|3[01])$/.test(day) ? '03:00' : '02:30']);
  }
  expect(await jobs()).toHaveLength(100);
});

test('overlap skip: no job while the previous one has not ended', async () => {
  await givenScheduler(defineSchedule({ ...hourly, missed: 'all', overlap: 'skip' }));
  await missThree();
  await isDecided();
  expect(await outcomes()).toEqual(['enqueued', 'overlapping', 'overlapping']);

  await environment.sql(`update jobs set state = 'succeeded'; truncate schedule_ticks`);
  await environment.sql(`update schedules set next_at = now() - interval '45 minutes'`);
  await isDecided();
  expect(await outcomes()).toEqual(['enqueued']);
});

test('jitter puts the job off', async () => {
  await givenScheduler(defineSchedule({ ...hourly, jitter: '3650d' }));
  await environment.sql(`update schedules set next_at = now() - interval '45 minutes'`);
  await isDecided();
  const [job] = await environment.sql<{ state: string; run_at: Date }>('select state, run_at from jobs');
  expect(job?.state).toBe('scheduled');
});

test('a changed expression is never applied to what was before the change', async () => {
  await givenScheduler(defineSchedule(hourly));
  await stopSchedulers();
  await missThree();
  await givenScheduler(defineSchedule({ ...hourly, cron: `${minute} */2 * * *` }));
  await isDecided();
  expect(await ticks()).toEqual([]);
});

test('what the code does not declare is disabled, visibly, and fires no more; declared again it begins again', async () => {
  await givenScheduler(defineSchedule(hourly), defineSchedule({ ...hourly, name: 'note.kept' }));
  await stopSchedulers();
  const schedules = await givenScheduler(defineSchedule({ ...hourly, name: 'note.kept' }));
  await eventually(async () => (await schedules.find('note.hourly'))?.state === 'disabled');
  expect(await schedules.find('note.hourly')).toMatchObject({ next: [] });
  expect(await schedules.find('note.kept')).toMatchObject({ state: 'active' });
  expect(await schedules.run('note.hourly')).toBeUndefined();

  await stopSchedulers();
  await missThree();
  const again = await givenScheduler(defineSchedule(hourly));
  await eventually(async () => (await again.find('note.hourly'))?.state === 'active');
  await isDecided();
  expect((await environment.sql(`select from schedule_ticks where schedule = 'note.hourly'`)).length).toBe(0);
});

test('old and new code side by side: the newest to start decides, and what it leaves behind is taken over', async () => {
  const before = defineSchedule(hourly);
  const after = defineSchedule({ ...hourly, payload: { text: 'new' } });
  await givenScheduler(before);
  await givenScheduler(after);
  await missThree();
  await isDecided();
  expect((await jobs()).map(({ payload }) => payload)).toEqual([{ text: 'new' }]);

  // As if the newer one had been gone for a while.
  await apps.pop()!.close();
  await environment.sql(`update schedules set confirmed_at = now() - interval '31 seconds'`);
  await eventually(async () => {
    const [row] = await environment.sql<{ text: string }>(
      `select spec -> 'payload' ->> 'text' as text from schedules`,
    );
    return row?.text === 'hello';
  });
});

test('paused, it fires not; resumed, it begins with its next tick', async () => {
  const schedules = await givenScheduler(defineSchedule(hourly));
  await schedules.pause('note.hourly');
  expect(await schedules.find('note.hourly')).toMatchObject({ state: 'paused', next: [] });
  await missThree();
  await schedules.resume('note.hourly');
  expect(await schedules.find('note.hourly')).toMatchObject({ state: 'active', lastTick: null });
  expect((await rows())[0]!.next_at.getTime()).toBeGreaterThan(Date.now());
  expect(await ticks()).toEqual([]);
});

test('run now makes a job beside the ticks, which the next tick knows of', async () => {
  const schedules = await givenScheduler(defineSchedule({ ...hourly, overlap: 'skip' }));
  const job = await schedules.run('note.hourly');
  expect(job).toMatchObject({ name: 'note', payload: hourly.payload, state: 'queued' });
  expect(await schedules.find('note.hourly')).toMatchObject({ lastJob: job!.id, lastTick: null });
  await environment.sql(`update schedules set next_at = now() - interval '45 minutes'`);
  await isDecided();
  expect(await outcomes()).toEqual(['overlapping']);
  expect(await schedules.run('note.nightly')).toBeUndefined();
});

test('the start fails for two schedules of one name, and for a job that the app does not know', async () => {
  const Other = defineJob({ name: 'other', queue: 'other', payload: z.object({}) });
  const start = (...schedules: Schedule[]) =>
    givenWorker(environment, { contracts: [Note], imports: [SchedulesModule.forRoot({ schedules })] });
  await expect(start(defineSchedule(hourly), defineSchedule(hourly))).rejects.toThrow(
    'Two schedules are named "note.hourly"',
  );
  await expect(start(defineSchedule({ ...hourly, job: Other, payload: {} }))).rejects.toThrow(
    'enqueues other, which is not among the contracts',
  );
});

describe('at run time', () => {
  const digest = { name: 'note.digest', cron: hourly.cron, job: Note, payload: { text: 'acme' } } as const;

  test('a schedule is made, changed and deleted in code, and fires in the workers that know its job', async () => {
    const schedules = await givenScheduler(defineSchedule(hourly));
    expect(await schedules.put(digest)).toBe(true);
    expect(await schedules.put({ ...digest, payload: { text: 'new' } })).toBe(false);
    expect(await schedules.find('note.digest')).toMatchObject({
      ...{
        state: 'active',
        madeBy: 'run-time',
        payload: { text: 'new' },
        missed: 'once',
        next: { length: 5 },
      },
    });
    expect(await schedules.find('note.hourly')).toMatchObject({ madeBy: 'code' });
    await missThree();
    await isDecided();
    await eventually(async () => (await jobs()).length === 2);
    expect(new Set((await jobs()).map(({ payload }) => (payload as { text: string }).text))).toEqual(
      new Set(['hello', 'new']),
    );
    expect(await schedules.delete('note.digest')).toBe(true);
    expect(await schedules.delete('note.digest')).toBe(false);
    expect(await jobs()).toHaveLength(2);
  });

  test('its tags are those of its jobs, and what is redacted in a payload that is put back stays as it is', async () => {
    const schedules = await givenScheduler(defineSchedule({ ...hourly, tags: ['of the code'] }));
    const payload = { text: 'acme', token: 's3cret' };
    await schedules.put({ ...digest, payload, tags: ['tenant:acme', 'tenant:acme'] });
    const shown = await schedules.find('note.digest');
    expect(shown).toMatchObject({ payload: { text: 'acme', token: '[redacted]' }, tags: ['tenant:acme'] });
    await schedules.put({ ...digest, payload: shown?.payload as typeof payload, tags: shown?.tags });
    await Promise.all([schedules.run('note.digest'), schedules.run('note.hourly')]);
    await missThree();
    await eventually(async () => (await ticks()).length > 1);
    const made = await environment.sql('select distinct payload::text, tags from jobs order by tags');
    expect(made).toEqual([
      { payload: JSON.stringify(hourly.payload), tags: ['of the code'] },
      { payload: JSON.stringify(payload), tags: ['tenant:acme'] },
    ]);
    await expect(schedules.put({ ...digest, tags: ['\n'] })).rejects.toThrow('tags.0');
  });

  test('only another time changes when it fires next', async () => {
    const schedules = await givenScheduler();
    await schedules.put(digest);
    await environment.sql(`update schedules set next_at = now() + interval '3 days', paused = true`);
    const nextAt = async () => (await rows())[0]?.next_at.getTime() ?? 0;
    const before = await nextAt();
    await schedules.put({ ...digest, payload: { text: 'b' }, overlap: 'skip' });
    expect(await nextAt()).toBe(before);
    await schedules.put({ ...digest, cron: '59 23 31 12 *' });
    expect(await nextAt()).not.toBe(before);
    expect(await schedules.find('note.digest')).toMatchObject({ state: 'paused' });
  });

  test('one of the code is neither changed nor deleted, and the code may take over a name', async () => {
    const schedules = await givenScheduler(defineSchedule(hourly));
    for (const way of [schedules.put({ ...digest, name: 'note.hourly' }), schedules.delete('note.hourly')])
      await expect(way).rejects.toThrow("declared by the workers' code");
    await schedules.put(digest);
    await stopSchedulers();
    const later = await givenScheduler(defineSchedule({ ...digest, payload: { text: 'of the code' } }));
    await eventually(async () => (await later.find('note.digest'))?.madeBy === 'code');
    expect(await later.find('note.hourly')).toMatchObject({ state: 'disabled' });
    expect(await later.delete('note.hourly')).toBe(true);
  });

  test('a start of workers that do not declare it leaves it alone, and so does one of earlier code', async () => {
    const schedules = await givenScheduler();
    await schedules.put(digest);
    await stopSchedulers();
    // As earlier code does with what it does not declare.
    await environment.sql('update schedules set disabled = true');
    const later = await givenScheduler();
    expect(await later.find('note.digest')).toMatchObject({ state: 'active' });
    await environment.sql(`update schedules set next_at = now() - interval '2 hours 45 minutes'`);
    await eventually(async () => (await jobs()).length === 1);
  });

  test('what cannot be used is refused, and nothing is written', async () => {
    const schedules = await givenScheduler();
    const Secret = defineJob({
      name: 'note',
      queue: 'note',
      payload: z.object({ text: encrypted(z.string()) }),
    });
    for (const [wrong, message] of [
      [{ payload: { text: 7 } }, 'does not fit'],
      [{ cron: '61 * * * *' }, 'cron'],
      [{ timeZone: '+02:00' }, 'timeZone'],
      [{ name: 'Not a name' }, 'name must be'],
      [{ missed: 'never' }, 'missed must be'],
      [{ job: Secret }, 'encrypted()'],
    ] as [object, string][])
      await expect(schedules.put({ ...digest, ...wrong } as never)).rejects.toThrow(message);
    expect(await rows()).toEqual([]);
  });

  test('very many that cannot fire keep no other one from it', async () => {
    const schedules = await givenScheduler();
    await schedules.put(digest);
    // Their payload does not fit any more, and they have been due for longer.
    await environment.sql(`
      insert into schedules (name, spec, next_at, at_run_time)
      select 'bad.' || n, jsonb_set(spec, '{payload}', '7'), now() - interval '3 hours', true
      from schedules, generate_series(1, 450) as n`);
    await environment.sql(
      `update schedules set next_at = now() - interval '2 hours 45 minutes' where name = 'note.digest'`,
    );
    await eventually(async () => (await jobs()).length === 1);
    const [{ due = 0 } = {}] = await environment.sql<{ due: number }>(
      'select count(*)::int as due from schedules where next_at < now()',
    );
    expect(due).toBe(450);
  });

  test('of ten thousand only those that are due are looked at', async () => {
    const schedules = await givenScheduler();
    await schedules.put(digest);
    await environment.sql(`
      insert into schedules (name, spec, next_at, at_run_time)
      select 'many.' || n, spec, now() + interval '1 day', true
      from schedules, generate_series(1, 10000) as n`);
    await environment.sql('analyze schedules');
    await environment.sql(
      `update schedules set next_at = now() - interval '2 hours 45 minutes' where name ~ '^many.[0-9]{1,2}7$'`,
    );
    await eventually(async () => (await jobs()).length === 99);
    const [plan] = await environment.sql<{ 'QUERY PLAN': string }>(
      `explain select name from schedules where at_run_time and not paused and next_at <= now()`,
    );
    expect(plan?.['QUERY PLAN']).toMatch(/schedules_due/);
    expect(await schedules.list()).toHaveLength(1_000);
    expect((await schedules.list({ after: 'note', limit: 5 })).map(({ name }) => name)).toEqual([
      'note.digest',
    ]);
  });
});
