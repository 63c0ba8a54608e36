import { execFile } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { access } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { z } from 'zod';
import type { Settings } from '#config';
import {
  ContractError,
  defineJob,
  Encryption,
  encrypted,
  type Handler,
  type JobContext,
  JobHandler,
  nextJob,
} from '#jobs';
import { DeadJobStore, EncryptedColumns, JobQueries } from '#records';
import { forwardedLog } from '#telemetry';
import { eventually, InlineJobs, runJob } from '#testing';
import {
  type Environment,
  givenEnvironment,
  givenProducer,
  givenWorker,
  type Producer,
} from '#testing/services';
import { KeptLines } from '../../support/kept-lines.js';

/** In everything that must not be found anywhere. */
const MARK = `plain-${randomBytes(6).toString('hex')}`;
const Transfer = defineJob({
  name: 'money.transfer',
  queue: 'money',
  payload: z.object({ customer: z.string(), iban: encrypted(z.string()), isUrgent: encrypted(z.boolean()) }),
  result: z.object({ at: z.string(), receipt: encrypted(z.string()) }),
  retry: ['200ms'],
});
const Notify = defineJob({
  name: 'money.notify',
  queue: 'money',
  payload: z.object({ phone: encrypted(z.array(z.string())) }),
  result: z.unknown(),
});

@JobHandler(Transfer)
class TransferHandler implements Handler<typeof Transfer> {
  handle({ payload: { customer, iban, isUrgent }, attempt, log }: JobContext<typeof Transfer>) {
    log.info({ customer }, `Sending to ${iban}`);
    if (customer === 'dies' || (customer === 'fails once' && attempt === 1))
      throw new Error(`No such account: ${iban}`);
    return { at: '2026-01-01', receipt: `${isUrgent ? 'urgent' : 'slow'} receipt of ${iban}` };
  }
}
@JobHandler(Notify)
class NotifyHandler implements Handler<typeof Notify> {
  handle({ payload, previous }: JobContext<typeof Notify>) {
    const { receipt } = Transfer.result.parse(previous?.result);
    return { has: payload.phone.length, isPlain: receipt.includes(MARK) };
  }
}

const key = (id: string) => ({ id, key: randomBytes(32) });
const [old, current] = [key('old'), key('current')];
const contracts = [Transfer, Notify];
const options = (ENCRYPTION_KEYS: Settings['ENCRYPTION_KEYS']) => ({
  contracts,
  handlers: [TransferHandler, NotifyHandler],
  settings: { ENCRYPTION_KEYS },
});
const payload = (customer: string) => ({ customer, iban: `iban-${MARK}`, isUrgent: true });
let environment: Environment;
let producer: Producer;
const logged: string[] = [];
const closing: (() => Promise<void>)[] = [];

async function startWorker(keys: Settings['ENCRYPTION_KEYS']) {
  const log = forwardedLog('debug', (line) => void logged.push(line));
  const worker = await givenWorker(environment, { ...options(keys), imports: [KeptLines], log });
  closing.push(() => worker.close());
  return worker;
}
const ended = (id: string) =>
  eventually(async () => {
    const job = await producer.app.get(JobQueries).find(id);
    return job?.finishedAt && job;
  });
/** Everything that the database holds, as text. */
async function dump(): Promise<string> {
  const tables = await environment.sql<{ name: string }>(
    `select table_name as name from information_schema.tables where table_schema = 'public'`,
  );
  const rows = await Promise.all(
    tables.map(({ name }) => environment.sql<{ row: string }>(`select t::text as row from ${name} t`)),
  );
  return rows
    .flat()
    .map(({ row }) => row)
    .join('\n');
}

beforeAll(async () => {
  environment = await givenEnvironment(contracts);
  producer = await givenProducer(environment, options([old]));
});
afterAll(async () => {
  for (const close of closing) await close();
  await producer?.close();
  await environment?.close();
});

test('what a contract marks as encrypted is plain text in its handlers only', async () => {
  const { jobs } = producer;
  const followed = await jobs.enqueue(Transfer, payload('fails once'), {
    next: nextJob(Notify, { phone: [`+49 ${MARK}`] }),
  });
  const dead = await jobs.enqueue(Transfer, payload('dies'));
  const foreign = randomUUID();
  await environment.publish('money.transfer', JSON.stringify(payload('fails once')), {
    ...{ messageId: foreign, type: 'money.transfer', contentType: 'application/json' },
  });
  // As the broker has them, before anybody takes them. The foreign one is its publisher's doing.
  await eventually(async () => (await environment.countReady('money')) === 3);
  const sent = (await environment.drainQueue('money')).filter(
    ({ properties }) => properties.messageId !== foreign,
  );
  expect(JSON.stringify(sent)).not.toContain(MARK);
  expect(sent).toHaveLength(2);
  for (const { content, properties, headers } of sent)
    await environment.publish('money.transfer', Buffer.from(content, 'latin1'), { ...properties, headers });
  await environment.publish('money.transfer', JSON.stringify(payload('fails once')), {
    ...{ messageId: foreign, type: 'money.transfer', contentType: 'application/json' },
  });

  await startWorker([old]);
  for (const id of [followed.id, foreign]) {
    expect(await ended(id)).toMatchObject({
      state: 'succeeded',
      payload: { customer: 'fails once', iban: '[redacted]', isUrgent: '[redacted]' },
      result: { at: '2026-01-01', receipt: '[redacted]' },
    });
    expect(await jobs.result<typeof Transfer>({ id })).toEqual({
      ...{ at: '2026-01-01', receipt: `urgent receipt of iban-${MARK}` },
    });
  }
  const next = (await ended(followed.id)).next ?? '';
  expect(await ended(next)).toMatchObject({ state: 'succeeded', result: { has: 1, isPlain: true } });
  expect(await ended(dead.id)).toMatchObject({
    state: 'dead',
    error: { message: 'No such account: [redacted]' },
  });
  await eventually(async () => (await environment.countReady('money.dead')) === 1);

  const rows = await dump();
  expect(rows).toContain('$encrypted');
  expect(rows).not.toContain(MARK);
  expect(JSON.stringify(await environment.drainQueue('money.dead'))).not.toContain(MARK);
  expect(logged.join('\n')).toContain('Sending to [redacted]');
  expect([...logged, ...KeptLines.lines].join('\n')).not.toContain(MARK);

  const again = await jobs.rerun(dead.id, { patch: { customer: 'eve' } });
  const edit = jobs.editOf(
    { payload: { customer: 'bob', iban: '[redacted]', isUrgent: '[redacted]' } },
    true,
  );
  await producer.app.get(DeadJobStore).replayAll({ ids: [dead.id] }, { edit });
  for (const [id, customer] of [[again.id, 'eve'] as const, [dead.id, 'bob'] as const])
    expect(await ended(id)).toMatchObject({ state: 'succeeded', payload: { customer, iban: '[redacted]' } });
  expect((await jobs.find(dead.id))?.originalPayload).toMatchObject({ customer: 'dies', iban: '[redacted]' });
  expect(await dump()).not.toContain(MARK);
}, 60_000);

test('nor do the files of the database hold it', async () => {
  await environment.sql('checkpoint');
  const [at] = await environment.sql<{ data_directory: string }>('show data_directory');
  const directory = at?.data_directory ?? '';
  // Services in containers keep theirs to themselves: there the rows above have to do.
  if (
    !(await access(directory).then(
      () => true,
      () => false,
    ))
  )
    return;
  const grep = promisify(execFile)('grep', ['-rlaF', MARK, directory]).then(
    ({ stdout }) => stdout,
    ({ code }) => code,
  );
  // 1 says that nothing was found.
  expect(await grep).toBe(1);
});

test('an idempotency key is of the rest of the payload, since what is encrypted differs each time', async () => {
  const enqueue = (customer: string) =>
    producer.jobs.enqueue(Transfer, payload(customer), { idempotencyKey: 'order-1', delay: '1h' });
  const { id } = await enqueue('ada');
  expect(await enqueue('ada')).toMatchObject({ id, isNew: false });
  await expect(enqueue('eve')).rejects.toThrow('was used for another job');
});

test('keys are changed without a stop: the first encrypts, all decrypt, and records are encrypted again', async () => {
  const waiting = await producer.jobs.enqueue(Transfer, payload('ada'), {
    ...{ delay: '1h', next: nextJob(Notify, { phone: [MARK, MARK] }) },
  });
  const columns = producer.app.get(EncryptedColumns);
  const lost: string[] = [];
  const renew = (keys: Settings['ENCRYPTION_KEYS']) =>
    columns.rewrite((json) =>
      new Encryption({ ENCRYPTION_KEYS: keys }).renew(json, ({ message }) => lost.push(message)),
    );
  expect(await dump()).not.toContain('current.');
  expect(await renew([current, old])).toBeGreaterThanOrEqual(5);
  expect(await renew([current, old])).toBe(0);
  expect(lost).toEqual([]);
  const after = await dump();
  expect(after).not.toContain('old.');
  expect(after).not.toContain(MARK);

  await closing.pop()?.();
  await startWorker([current]);
  await environment.sql(`update jobs set run_at = now(), publish_at = now() where id = $1`, [waiting.id]);
  const { next } = await ended(waiting.id);
  expect(await ended(next ?? '')).toMatchObject({ state: 'succeeded', result: { has: 2, isPlain: true } });
  // What was published under a key that is gone is not lost: it says which key it needs.
  const { id } = await producer.jobs.enqueue(Transfer, payload('ada'));
  expect(await ended(id)).toMatchObject({
    ...{
      state: 'dead',
      error: { message: 'Encrypted with the key "old", which is not in ENCRYPTION_KEYS: add it' },
    },
  });
  expect(await renew([current])).toBe(0);
  expect(lost[0]).toContain('"old"');
});

test('without a key nothing is enqueued, and the message says how to make one', async () => {
  const { jobs, close } = await givenProducer(environment, { ...options([]), withBroker: false });
  closing.push(close);
  const failure = await jobs.enqueue(Transfer, payload('ada')).catch((error: Error) => error);
  expect(failure).toBeInstanceOf(ContractError);
  expect(failure).toMatchObject({ message: expect.stringContaining('ENCRYPTION_KEYS') });
});

test('tests without services see plain text', async () => {
  expect(await runJob(Transfer, new TransferHandler(), payload('ada'))).toMatchObject({
    ...{ state: 'succeeded', result: { receipt: `urgent receipt of iban-${MARK}` } },
  });
  const jobs = new InlineJobs(contracts).handle(Transfer, new TransferHandler());
  await jobs.enqueue(Transfer, payload('ada'));
  expect(jobs.enqueued(Transfer)).toMatchObject([{ payload: payload('ada') }]);
});
