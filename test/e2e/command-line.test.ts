import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { userInfo } from 'node:os';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import pg from 'pg';
import { z } from 'zod';
import * as contracts from '#contracts';
import { defineJob, Queues } from '#jobs';
import type { JobView } from '#records';
import { eventually } from '#testing';
import {
  type AppProcess,
  builtApps,
  type Environment,
  givenEnvironment,
  givenProcess,
  givenProducer,
} from '#testing/services';
import { commandLine } from '../../apps/cli/src/command-line.js';
import { codeOf } from '../../apps/cli/src/exit.js';
import { SampleFlaky } from '../samples/contracts.js';

/**
 * Dead letters of the test that replays very many. `REPLAYED=100000` is for a look at memory and time, not for every
 * run.
 */
const MANY = Number(process.env.REPLAYED ?? 5_000);
const UNKNOWN = '01890a5d-ac96-774b-bcce-b302099a8057';
/** What a terminal would obey: it clears the screen, and turns the direction of the line. */
const HOSTILE = '\u001b[2J\u009b31m\u202egone\u0007';

let environment: Environment;
let worker: AppProcess;

beforeAll(async () => {
  environment = await givenEnvironment(Object.values(contracts));
  worker = await givenProcess('worker', environment, { WORKER_PREFETCH: '100' });
  await worker.ready();
});
afterAll(async () => {
  for (const child of started) child.kill('SIGKILL');
  await worker?.stop('SIGKILL');
  await environment?.close();
});

const settings = () => ({
  PATH: process.env.PATH,
  RABBITMQ_URL: environment.rabbitmqUrl,
  DATABASE_URL: environment.databaseUrl,
});
const started: ChildProcess[] = [];
function start(args: string[]): ChildProcess {
  const child = spawn(process.execPath, ['dist/apps/cli/main.js', ...args], {
    cwd: builtApps,
    env: settings(),
  });
  started.push(child);
  return child;
}

/** `npm run jobs -- …`, built, with nobody at a terminal. */
function jobs(args: string[], input = ''): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      ['dist/apps/cli/main.js', ...args],
      { cwd: builtApps, env: settings(), maxBuffer: 1e8 },
      (error, stdout, stderr) => resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    );
    child.stdin?.end(input);
  });
}
/** The same in this process, which is many times as fast. */
async function within(line: string): Promise<{ code: number | undefined; stdout: string; stderr: string }> {
  Object.assign(process.env, settings());
  const [stdout, stderr] = (['stdout', 'stderr'] as const).map((name) =>
    jest.spyOn(process[name], 'write').mockReturnValue(true),
  );
  const error = await commandLine()
    .parseAsync(line.split(' '), { from: 'user' })
    .catch((failure: Error) => failure);
  const told = [stdout, stderr].map((write) => {
    const text = write!.mock.calls.map(([chunk]) => chunk).join('');
    write!.mockRestore();
    return text;
  });
  return { code: error instanceof Error ? codeOf(error) : 0, stdout: told[0]!, stderr: told[1]! };
}
/** The result of a command that succeeds. */
async function result(...args: string[]) {
  const { code, stdout, stderr } = await jobs([...args, '--json']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout);
}

function givenDead(count: number, message: string) {
  return environment.sql<{ id: string }>(
    `insert into jobs (id, name, queue, state, payload, max_attempts, attempt, claim, run_at, finished_at, error_form, attempts)
     select gen_random_uuid(), 'sample.flaky', 'sample-flaky', 'dead', '{"failures": 0}', 4, 4, 4, now(), now() - interval '1 s', $2,
       jsonb_build_array(jsonb_build_object('attempt', 4, 'claim', 4, 'outcome', 'failed', 'worker', 'w',
         'startedAt', now(), 'finishedAt', now(),
         'error', jsonb_build_object('class', 'Error', 'message', $2::text, 'stack', null,
           'causes', '[{"class": "Error", "message": "deep down", "code": "EDEEP"}]'::jsonb)))
     from generate_series(1, $1) returning id`,
    [count, message],
  );
}

describe('jobs', () => {
  test('a job is enqueued and shown, by hand and from standard input', async () => {
    const { id } = await result('enqueue', 'sample.flaky', '{"failures":0}');
    const own = ['--retry', '{"attempts":3,"first":"5s"}', '--timeout', '2m', '--start-within', '1h'];
    expect(await result('enqueue', 'sample.flaky', '{"failures":0}', ...own)).toMatchObject({
      maxAttempts: 3,
    });
    const piped = await jobs(['enqueue', 'sample.flaky', '-', '--delay', '1h'], '{"failures":0}');
    expect(piped).toMatchObject({ code: 0, stdout: expect.stringContaining('scheduled') });
    await eventually(async () => {
      const [row] = await environment.sql('select state from jobs where id = $1', [id]);
      return row?.state === 'succeeded';
    });
    const [shown, json, { items }] = await Promise.all([
      jobs(['show', id]),
      result('show', id),
      result('list', '--state', 'scheduled'),
    ]);
    expect(json).toMatchObject({ id, state: 'succeeded', result: { attempts: 1 } });
    expect(shown.stdout).toMatch(/^state +succeeded$/m);
    expect(items).toHaveLength(1);

    const [{ id: waiting }] = items as [JobView];
    expect(await result('cancel', waiting)).toMatchObject({ state: 'cancelled' });
    expect(await jobs(['cancel', id])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('succeeded'),
    });
  });

  test('exit codes tell failure (1), wrong use (2) and what does not exist (3)', async () => {
    const codes: [string[], number, RegExp][] = [
      [['enqueue', 'sample.flaky', '{"failures":-1}'], 1, /failures/],
      [['enqueue', 'sample.flaky', '{'], 2, /not valid JSON/],
      [['enqueue', 'sample.flaky', '{}', '--retry', '5s,soon'], 2, /"soon" is not a valid duration/],
      [['list', '--state', 'gone'], 2, /scheduled, queued/],
      [['list', '--limit', '0'], 2, /whole number/],
      [['log', UNKNOWN, '--attempt', '0'], 2, /whole number/],
      [['replay'], 2, /--all/],
      [['replay', 'nonsense'], 2, /UUID/],
      [['show', UNKNOWN], 3, /No job/],
      [['pause', 'nowhere'], 3, /nowhere/],
      [['list', '--queue', 'nowhere'], 3, /nowhere/],
    ];
    const answers = await Promise.all(codes.map(([args]) => jobs(args)));
    for (const [index, [, code, message]] of codes.entries()) {
      expect(answers[index]).toMatchObject({ code, stdout: '', stderr: expect.stringMatching(message) });
    }
  });
});

test('whatever there is not is said to be missing, with exit code 3, by every command and option', async () => {
  const lines = [
    ...['show', 'log', 'cancel', 'replay', 'discard', 'list --batch'].map(
      (command) => `${command} ${UNKNOWN}`,
    ),
    ...['list', 'list --state dead', 'dead', 'dead --error gone', 'replay', 'discard'].flatMap((command) =>
      ['--queue nowhere', '--name nobody'].map((filter) => `${command} ${filter}`),
    ),
    ...['run', 'pause', 'resume', 'delete'].map((command) => `schedules ${command} nobody`),
    ...['pause nowhere', 'resume nowhere', 'enqueue nobody {}'],
    ...['quiet', 'unquiet', 'stop'].map((command) => `workers ${command} nobody`),
    'enqueue sample.flaky {"failures":0} --queue nowhere',
  ];
  for (const line of lines) {
    expect({ line, ...(await within(line)) }).toEqual({ line, code: 3, stdout: '', stderr: '' });
  }
});

test('the log of a job is shown, of one attempt too, and nothing in it controls the terminal', async () => {
  const { id } = await result('enqueue', 'sample.flaky', '{"failures":0}', '--delay', '1h');
  await environment.sql(
    `insert into job_logs (job, claim, line, attempt, at, level, message, fields)
     select $1, a, n, a, '2027-01-31T09:00:00Z', 'info', $2 || n, case when n = 1 then '{}' else '{"rows":3}' end::json
     from generate_series(1, 2) a cross join generate_series(1, 2) n`,
    [id, HOSTILE],
  );
  const { code, stdout } = await within(`log ${id}`);
  expect(code).toBe(0);
  expect(stdout.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\u202e]/u);
  expect(stdout).toMatch(/^TIME +ATTEMPT +LEVEL +MESSAGE$/m);
  expect(stdout).toMatch(/^2027-01-31T09:00:00\.000Z +2 +info +\\u001b.*gone\\u00072 \{"rows":3\}$/m);
  const json = JSON.parse((await within(`log ${id} --attempt 2 --json`)).stdout);
  expect(json.items).toMatchObject([{ attempt: 2, message: `${HOSTILE}1` }, { fields: { rows: 3 } }]);
});

test('jobs are found by tags and payloads, cancelled, moved and enqueued again, one or many', async () => {
  const enqueue = async (failures: number) =>
    (
      await result(
        'enqueue',
        'sample.flaky',
        JSON.stringify({ failures }),
        '--delay',
        '1h',
        '--tag',
        'cli',
        '--tag',
        'x',
      )
    ).id;
  const [one, two] = [await enqueue(1), await enqueue(2)];
  const idsOf = async (line: string) =>
    JSON.parse((await within(`list --json ${line}`)).stdout).items.map(({ id }: JobView) => id);
  expect(await idsOf('--tag cli')).toEqual([two, one]);
  expect(await idsOf('--where /failures:1')).toEqual([one]);
  expect((await within('list --where failures')).code).toBe(2);

  expect(await within('reschedule --tag cli --delay 2h --yes')).toMatchObject({
    code: 0,
    stdout: 'Rescheduled 2 jobs\n',
  });
  expect((await within('reschedule --tag cli')).code).toBe(2);
  expect((await within(`rerun ${one}`)).code).toBe(1);
  expect((await within('cancel --tag cli')).code).toBe(2);
  expect(await within('cancel --tag cli --yes')).toMatchObject({ code: 0, stdout: 'Cancelled 2 jobs\n' });
  expect((await within('cancel --tag cli --yes')).code).toBe(3);

  const again = JSON.parse((await within(`rerun ${one} --payload {"failures":0} --json`)).stdout);
  expect(again).toMatchObject({ rerunOf: one, payload: { failures: 0 }, tags: ['cli', 'x'] });
  expect((await within(`rerun ${one} --payload {"failures":-1}`)).code).toBe(1);
  expect(await within('rerun --tag cli --state cancelled --patch {"failures":0} --yes --json')).toMatchObject(
    {
      stdout: '{"count":1}\n',
    },
  );
  const lines = await environment.sql('select action, count from audit order by id desc limit 1');
  expect(lines).toEqual([{ action: 'jobs.rerun', count: 1 }]);
});

describe('dead letters', () => {
  test('P12: they are counted by cause, and discarded by a filter when that is confirmed', async () => {
    const [first] = await givenDead(3, HOSTILE);
    const listed = await jobs(['list', '--state', 'dead']);
    const shown = await jobs(['show', first!.id, '--json']);
    expect((await jobs(['show', first!.id])).stdout).toMatch(/^Caused by Error EDEEP: deep down$/m);
    for (const { stdout } of [listed, shown]) {
      expect(stdout).toContain('gone');
      expect(stdout.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\u202e]/u);
    }
    expect(JSON.parse(shown.stdout).error.message).toBe(HOSTILE);

    expect(await result('dead', '--queue', 'sample-flaky')).toMatchObject({
      count: 3,
      groups: [{ count: 3 }],
    });
    expect(await jobs(['discard', '--error', 'GONE'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('Discard 3 dead letters?'),
    });
    expect(await result('discard', '--error', 'GONE', '--yes')).toEqual({ count: 3 });
  });

  test('a replay says what it leaves out, since another job holds its unique key', async () => {
    const rows = await givenDead(2, 'held');
    const [held, other] = rows.map(({ id }) => id);
    const { id: holder } = await result('enqueue', 'sample.flaky', '{"failures":0}', '--delay', '1h');
    await environment.sql(`update jobs set unique_key = 'one' where id = $1`, [held]);
    await environment.sql(
      `insert into job_keys (scope, key, job, expires_at, until_ended)
       values ('unique:sample.flaky', 'one', $1, now(), true)`,
      [holder],
    );
    expect(await jobs(['replay', held!])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('Replayed nothing, left out 1: another job holds their unique key'),
    });
    expect(await result('replay', '--error', 'held', '--yes')).toEqual({ count: 1, leftOut: 1 });
    const states = await environment.sql(
      'select state from jobs where id = any ($1::uuid[]) order by state',
      [[held, other]],
    );
    expect(states[0]).toEqual({ state: 'dead' });
    await result('discard', held!, '--yes');
  });

  test(
    'P12: a replay of very many that is killed half-way goes on, and runs each job once',
    async () => {
      await givenDead(MANY, 'many');
      const replay = ['replay', '--error', 'many', '--yes', '--per-second', '100000'];
      const dead = async () =>
        (await environment.sql<{ count: number }>(`select count(*)::int from jobs where state = 'dead'`))[0]!
          .count;

      // Somebody else holds a row in the middle: the replay comes to it and no further, and is killed there.
      const holder = new pg.Client(environment.databaseUrl);
      holder.on('error', () => {});
      await holder.connect();
      await holder.query('begin');
      const middle = `select id from jobs where state = 'dead' order by id offset $1 limit 1`;
      await holder.query(`select from jobs where id = (${middle}) for update`, [MANY / 2]);
      const left = MANY - Math.floor(MANY / 2 / 1_000) * 1_000;
      const killed = start(replay);
      await eventually(async () => (await dead()) === left, 30_000 + MANY);
      killed.kill('SIGKILL');
      await once(killed, 'close');
      await holder.end();

      // The database may still have finished the page that it was at.
      expect([left, left - 1_000]).toContain((await result(...replay)).count);
      // Each was claimed once: 4 claims before, one for the replay, one for the run.
      await eventually(async () => {
        const rows = await environment.sql(
          `select state, attempt, claim, count(*)::int from jobs where attempts::text like '%many%' group by 1, 2, 3`,
        );
        return (
          expect(rows).toEqual([{ state: 'succeeded', attempt: 1, claim: 6, count: MANY }]) === undefined
        );
      }, 120_000 + MANY);
    },
    240_000 + MANY,
  );

  test('P12: an unprocessable message is looked at, and discarded', async () => {
    await environment.publish('sample.flaky', `no JSON ${HOSTILE}`, { messageId: 'none' });
    const { items } = await eventually(async () => {
      const found = await result('list', '--state', 'dead', '--name', 'unknown');
      return found.items.length > 0 ? found : undefined;
    }, 30_000);
    const shown = await jobs(['show', items[0].id]);
    expect(shown.stdout).toMatch(/no JSON \\u001b/);
    expect(shown.stdout).toMatch(/UnprocessableMessageError: messageId/);
    expect(await result('discard', items[0].id)).toEqual({ count: 1 });
    await eventually(async () => (await environment.countReady('sample-flaky.dead')) === 0, 30_000);
  });
});

test('queues and workers are shown, paused and resumed', async () => {
  expect(await result('pause', 'sample-picture')).toMatchObject({ queue: 'sample-picture', paused: true });
  const [queues, workers] = await Promise.all([result('queues'), result('workers')]);
  expect(queues.items).toContainEqual(expect.objectContaining({ queue: 'sample-picture', paused: true }));
  expect(workers.items).toMatchObject([{ name: expect.stringMatching(`:${worker.child.pid}$`) }]);
  expect((await jobs(['queues'])).stdout).toMatch(/^sample-picture .* yes +-$/m);
  expect((await within('pause sample-picture')).stdout).toBe('sample-picture was paused already\n');
  expect(await jobs(['resume', 'sample-picture'])).toMatchObject({
    code: 0,
    stdout: 'sample-picture is resumed\n',
  });
  expect(await within('resume sample-picture')).toMatchObject({
    code: 0,
    stdout: 'sample-picture was not paused\n',
  });
  const [{ id, name }] = workers.items;
  expect(await result('workers', 'quiet', name)).toMatchObject({ id, name, state: 'quiet' });
  expect((await within(`workers quiet ${id}`)).stdout).toBe(`${name} was quiet already\n`);
  expect((await jobs(['workers'])).stdout).toMatch(/^\S+ +quiet /m);
  expect((await within(`workers unquiet ${name}`)).stdout).toBe(`${name} is working\n`);
});

test('P16: a queue that no contract has is named, and is deleted when it is empty, with an audit line', async () => {
  const before = defineJob({ name: 'before.work', queue: 'before', payload: z.unknown(), retry: ['7s'] });
  const { name, payload } = SampleFlaky;
  const moved = defineJob({ name, payload, queue: 'before' });
  const { app, jobs: producer, close } = await givenProducer(environment, { contracts: [before, moved] });
  await app.get(Queues).declare();
  const { id } = await producer.enqueue(before, null);
  const { id: home } = await producer.enqueue(moved, { failures: 0 });
  await eventually(async () => (await environment.countReady('before')) === 2);
  const remove = (name: string) => within(`queues delete ${name}`);
  try {
    expect((await within('queues')).stdout).toMatch(
      /^before: 2 jobs wait, and no worker takes them: no contract/m,
    );
    expect(await remove('before')).toMatchObject({ code: 1 });
    expect(await remove('no-such')).toMatchObject({ code: 3 });
    expect(await remove('sample-mail')).toMatchObject({ code: 1 });
    expect(await within(`cancel ${id}`)).toMatchObject({ code: 0 });
    // The message of the job that was cancelled is still there.
    expect(await jobs(['queues', 'delete', 'before'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('npm run jobs -- rebuild'),
    });
    expect((await jobs(['rebuild'])).code).toBe(0);
    await eventually(async () => (await result('show', home)).state === 'succeeded');
    await environment.sql('truncate audit');
    expect((await remove('before')).stdout).toBe('Deleted before, before.dead\n');
    expect(await result('queues', 'delete', 'jobs.retry.7s')).toEqual({ deleted: ['jobs.retry.7s'] });
    expect((await within('queues')).stdout).not.toMatch(/^(before|jobs\.retry)/m);
    expect(await environment.sql('select action, subject, count from audit order by id')).toEqual([
      { action: 'queue.delete', subject: 'before', count: 1 },
      { action: 'queue.delete', subject: 'jobs.retry.7s', count: 1 },
    ]);
  } finally {
    await close();
  }
});

test('schedules are made, changed and deleted at run time', async () => {
  const put = (cron: string) => result('schedules', 'put', 'digest.acme', cron, 'sample.nightly', '{}');
  expect(await put('0 7 29 2 *')).toMatchObject({
    name: 'digest.acme',
    madeBy: 'run-time',
    cron: '0 7 29 2 *',
  });
  expect(await put('0 8 29 2 *')).toMatchObject({ cron: '0 8 29 2 *' });
  for (const [line, words] of [
    ['schedules put digest.acme x sample.nightly', 'five fields'],
    ['schedules delete sample.nightly', "declared by the workers' code"],
  ] as const)
    expect(await jobs(line.split(' '))).toMatchObject({ code: 2, stderr: expect.stringContaining(words) });
  expect((await within('schedules delete digest.acme')).stdout).toContain('Deleted digest.acme');
});

test('schedules are shown, paused and resumed', async () => {
  const { items } = await result('schedules', 'list');
  expect(items).toContainEqual(expect.objectContaining({ name: 'sample.nightly' }));
  expect((await result('schedules', 'pause', 'sample.nightly')).state).toBe('paused');
  const schedule = async (action: string) => (await within(`schedules ${action} sample.nightly`)).stdout;
  expect(await schedule('pause')).toBe('sample.nightly was paused already\n');
  expect(await schedule('resume')).toBe('sample.nightly is active\n');
  expect(await schedule('resume')).toBe('sample.nightly was not paused\n');
});

test('a queue and a name without jobs are listed as empty; one alone is told of as one', async () => {
  for (const filter of ['--queue=sample-call', '--name=sample.report', '--state=cancelled'])
    expect(await within(`list --state discarded ${filter}`)).toMatchObject({ code: 0, stderr: '' });
  const [one] = await givenDead(1, 'alone');
  expect((await within('dead --error alone')).stdout).toMatch(/^1 dead letter$/m);
  expect(await within(`discard ${one!.id} ${UNKNOWN}`)).toMatchObject({
    stdout: 'Discarded 1 dead letter\n',
    stderr: 'Of the ids, 1 is not of a dead letter that fits\n',
  });
});

test('each action leaves an audit line: who did what to what, and how much it changed', async () => {
  const dead = (await givenDead(3, 'audited')).map(({ id }) => id);
  const { id } = await result('enqueue', 'sample.flaky', '{"failures":0}', '--delay', '1h');
  await environment.sql('truncate audit');
  await Promise.all([
    ...[result('cancel', id), result('replay', dead[0]!), result('discard', dead[1]!)],
    result('pause', 'sample-report'),
    result('schedules', 'pause', 'sample.nightly'),
    // Nobody is there to say yes: it is not done.
    jobs(['discard', '--error', 'audited']),
  ]);
  const lines = await environment.sql('select * from audit order by action');
  const line = (action: string, subject: string, count: unknown = 1) =>
    expect.objectContaining({ actor: userInfo().username, via: 'cli', action, subject, count });
  expect(lines).toEqual([
    line('dead-letters.discard', JSON.stringify({ ids: [dead[1]] })),
    line('dead-letters.replay', JSON.stringify({ ids: [dead[0]] })),
    line('job.cancel', id),
    line('queue.pause', 'sample-report'),
    line('schedule.pause', 'sample.nightly'),
  ]);
});

test('watch tells of queues and workers, a line each time, until it is interrupted', async () => {
  const watching = start(['watch', '--json']);
  let output = '';
  watching.stdout?.on('data', (chunk) => (output += chunk));
  await eventually(() => output.split('\n').length > 2, 30_000);
  watching.kill('SIGINT');
  expect(await once(watching, 'close')).toEqual([0, null]);
  const [first] = output.split('\n');
  expect(JSON.parse(first!)).toMatchObject({ queues: expect.any(Array), workers: [{ running: 0 }] });
});
