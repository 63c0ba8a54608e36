import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { appendFile, copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import * as contracts from '#contracts';
import { type Handler, type JobContext, JobHandler } from '#jobs';
import { eventually } from '#testing';
import { type Environment, givenEnvironment, givenWorker, root } from '#testing/services';

const run = promisify(execFile);

/** Mail that is not sent. What is tested is how a job comes in. */
@JobHandler(contracts.SendEmail)
class KeepEmail implements Handler<typeof contracts.SendEmail> {
  static readonly kept: unknown[] = [];
  handle({ payload }: JobContext<typeof contracts.SendEmail>) {
    KeepEmail.kept.push(payload);
    return { messageId: 'kept' };
  }
}

/** Debian's package golang-github-rabbitmq-amqp091-go-dev: the library, in an older version, for machines without a module proxy. */
const DEBIANS_LIBRARY = '/usr/share/gocode/src/github.com/rabbitmq/amqp091-go';

/** A program, with what goes before its own arguments. */
type Program = readonly [file: string, ...args: string[]];

const folder = await mkdtemp(join(tmpdir(), 'publishers-'));
const [python, go] = await Promise.all([findPython(), buildGo()]);

let environment: Environment;
let worker: Awaited<ReturnType<typeof givenWorker>>;
beforeAll(async () => {
  environment = await givenEnvironment([contracts.SendEmail]);
  worker = await givenWorker(environment, { contracts: [contracts.SendEmail], handlers: [KeepEmail] });
});
afterAll(async () => {
  await worker?.close();
  await environment?.close();
  await rm(folder, { recursive: true, force: true });
});

/** Runs a publisher. @returns how it ended and what it printed. */
async function publish([file, ...args]: Program, ...own: string[]) {
  const env = { PATH: process.env.PATH, RABBITMQ_URL: environment.rabbitmqUrl };
  return run(file, [...args, ...own], { env }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout: stdout.trim(), stderr }),
    ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
  );
}

describe.each([
  ['Python', python],
  ['Go', go],
])('the publisher in %s', (language, found) => {
  const program = typeof found === 'string' ? undefined : found;
  if (!program) console.warn(`Skipped: the publisher in ${language}: ${found}`);
  const when = program ? test : test.skip;

  when('brings a job to a worker without the api, and its record is made', async () => {
    const { code, stdout: id } = await publish(program!, 'ada@example.org', `From ${language}`, 'Hello');
    expect([code, id]).toEqual([0, expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab]/)]);
    await eventually(async () => {
      const [job] = await environment.sql('select state, attempt from jobs where id = $1', [id]);
      expect(job).toEqual({ state: 'succeeded', attempt: 1 });
      return true;
    });
    const payload = { to: 'ada@example.org', subject: `From ${language}`, text: 'Hello' };
    expect(KeepEmail.kept).toContainEqual(payload);

    // In doubt it is sent again, under the same id.
    expect(await publish(program!, '--id', id, 'ada@example.org', `From ${language}`, 'Hello')).toMatchObject(
      { code: 0, stdout: id },
    );
    await eventually(async () => (await environment.countReady('email')) === 0);
    expect(KeepEmail.kept.filter((kept) => JSON.stringify(kept) === JSON.stringify(payload))).toHaveLength(1);
  });

  when('says so and exits with 1 when no queue takes the message, or the broker refuses it', async () => {
    await environment.management('DELETE', '/bindings/{vhost}/e/jobs/q/email/email.send');
    await environment.management('DELETE', '/queues/{vhost}/jobs.unroutable');
    try {
      expect(await publish(program!, 'a@example.org', 'x', 'y')).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/Not published: no queue takes email\.send.*npm run migrate/),
      });
    } finally {
      await environment.management('PUT', '/queues/{vhost}/jobs.unroutable', {
        durable: true,
        arguments: { 'x-queue-type': 'quorum' },
      });
      await environment.management('POST', '/bindings/{vhost}/e/jobs.unroutable/q/jobs.unroutable', {});
      await environment.management('POST', '/bindings/{vhost}/e/jobs/q/email', { routing_key: 'email.send' });
    }
    // A queue that takes nothing refuses what is published.
    await environment.management('PUT', '/queues/{vhost}/full', {
      durable: true,
      arguments: { 'x-max-length': 0, 'x-overflow': 'reject-publish' },
    });
    await environment.management('POST', '/bindings/{vhost}/e/jobs/q/full', { routing_key: 'email.send' });
    try {
      expect(await publish(program!, 'a@example.org', 'x', 'y')).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('Not published: the broker refused it'),
      });
    } finally {
      await environment.management('DELETE', '/queues/{vhost}/full');
    }
  });

  when('without arguments exits with 2', async () => {
    expect(await publish(program!)).toMatchObject({ code: 2, stderr: expect.stringMatching(/usage/i) });
  });
});

/** An interpreter that has pika, or why there is none. Debian's packages are those of its own interpreter. */
async function findPython(): Promise<Program | string> {
  for (const interpreter of ['python3', '/usr/bin/python3']) {
    const hasPika = await run(interpreter, ['-c', 'import pika']).then(
      () => true,
      () => false,
    );
    if (hasPika) return [interpreter, '-B', join(root, 'examples/python/send_email.py')];
  }
  return 'no python3 that has pika (apt-get install python3-pika)';
}

/** The publisher as a program, or why it could not be built. */
async function buildGo(): Promise<Program | string> {
  const source = join(root, 'examples/go');
  const program = join(folder, 'send-email');
  const modules = join(folder, 'go.mod');
  const build = async (...flags: string[]): Promise<Program> => {
    await run('go', ['build', ...flags, '-o', program, '.'], { cwd: source, timeout: 60_000 });
    return [program];
  };
  try {
    if (!existsSync(DEBIANS_LIBRARY)) return await build();
    await copyFile(join(source, 'go.mod'), modules);
    await appendFile(modules, `replace github.com/rabbitmq/amqp091-go => ${DEBIANS_LIBRARY}\n`);
    return await build('-mod=mod', `-modfile=${modules}`);
  } catch (error) {
    const { code, stderr, message } = error as Error & { code: unknown; stderr?: string };
    return code === 'ENOENT' ? 'no go' : `go build: ${String(stderr || message).slice(0, 300)}`;
  }
}
