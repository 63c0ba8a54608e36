import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { connect } from 'amqplib';
import { v7 as uuidv7 } from 'uuid';
import { z } from 'zod';
import { defineJob, type Handler, type JobContext, JobHandler } from '#jobs';
import { JobQueries, JobStore } from '#records';
import { eventually } from '#testing';
import { type Environment, givenProducerAndWorker, type Producer } from '#testing/services';

const Greet = defineJob({ name: 'greet.say', queue: 'greet', payload: z.object({ name: z.string() }) });
const Orphan = defineJob({ name: 'greet.orphan', queue: 'greet', payload: z.unknown() });
const greeted: string[] = [];

@JobHandler(Greet)
class GreetHandler implements Handler<typeof Greet> {
  handle({ payload }: JobContext<typeof Greet>) {
    greeted.push(payload.name);
  }
}

const CLAIM_CHECK_BYTES = 128 * 1024;
let environment: Environment;
let producer: Producer;
let close = async () => {};
const contracts = [Greet, Orphan];
const find = (id: string) => producer.app.get(JobQueries).find(id);

beforeAll(async () => {
  ({ environment, producer, close } = await givenProducerAndWorker({
    contracts,
    handlers: [GreetHandler],
    settings: { HOLD_UNKNOWN: 0, WORKER_PREFETCH: { fallback: 1, queues: new Map() } },
  }));
});
// What a test takes out of the dead-letter queue would come back there: the records say what lies in it.
afterEach(() => environment.sql(`delete from jobs where state = 'dead'`));
afterAll(() => close());

const deadLetter = () =>
  eventually(async () => {
    const letters = await environment.drainQueue('greet.dead');
    return letters.length > 0 ? letters : undefined;
  });
const fine = () => ({ messageId: uuidv7(), type: 'greet.say', contentType: 'application/json' });

describe('P6: a message that cannot be understood is a dead letter at once, with its bytes and a reason', () => {
  test.each<[string, string | Buffer, Record<string, unknown>, RegExp]>([
    ['not JSON', 'hello', {}, /not valid JSON/],
    ['an empty body', '', {}, /not valid JSON/],
    ['invalid UTF-8', Buffer.from('7b226e616d65223a22ff227d', 'hex'), {}, /not valid JSON in UTF-8/],
    ['100,000 brackets', '['.repeat(100_000), {}, /nested too deeply/],
    ['100,000 brackets that close', '['.repeat(100_000) + ']'.repeat(100_000), {}, /nested too deeply/],
    ['a __proto__ key', '{"name":"x","__proto__":{"admin":true}}', {}, /prototype/],
    ['no messageId', '{"name":"x"}', { messageId: undefined }, /messageId/],
    ['a messageId that is not a UUID', '{"name":"x"}', { messageId: "1'; drop table jobs" }, /messageId/],
    ['a body over MAX_PAYLOAD', `{"name":"${'x'.repeat(1024 * 1024)}"}`, {}, /longer than 1048576 bytes/],
    ['15 MB that are not valid JSON', '['.repeat(15_000_000), {}, /MAX_PAYLOAD/],
    ['a type with NUL', '{"name":"x"}', { type: 'greet.say\0' }, /NUL/],
    ['no type', '{"name":"x"}', { type: undefined }, /type is missing/],
    ['an unknown type', '{"name":"x"}', { type: 'greet.sing' }, /No contract is named/],
    ['a type that no contract may have', '{"name":"x"}', { type: 'Greet!' }, /No contract is named "Greet!"/],
    ['the type of an object method', '{"name":"x"}', { type: 'constructor' }, /No contract is named/],
    ['x-attempt of -1', '{"name":"x"}', { headers: { 'x-attempt': -1 } }, /x-attempt/],
    ['x-attempt of "x"', '{"name":"x"}', { headers: { 'x-attempt': 'x' } }, /x-attempt/],
    ['x-version of 0', '{"name":"x"}', { headers: { 'x-version': 0 } }, /x-version is not a valid version/],
    ['x-version of "2"', '{"name":"x"}', { headers: { 'x-version': '2' } }, /x-version/],
    ['another content type', '{"name":"x"}', { contentType: 'text/xml' }, /contentType/],
    [
      'headers that leave no room for the reason',
      'x',
      { headers: { pad: 'x'.repeat(65_500) } },
      /not valid JSON/,
    ],
    ['a claim check without a record', '', { headers: { 'x-claim-check': true } }, /no payload/],
    ['a content encoding', '{"name":"x"}', { contentEncoding: 'gzip' }, /contentEncoding/],
  ])('%s', async (_, content, properties, reason) => {
    await environment.publish('greet.say', content, { ...fine(), ...properties });
    const [letter, ...more] = await deadLetter();
    expect(more).toEqual([]);
    expect(letter!.headers['x-dead-reason']).toMatch(reason);
    const [record] = await environment.sql<{ id: string; reason: string; body: Buffer }>(
      `select j.id, j.attempts -> -1 -> 'error' ->> 'message' as reason,
         coalesce(m.body, convert_to(j.payload::text, 'UTF8')) as body
       from jobs j join unprocessable_messages m on m.job = j.id where j.state = 'dead'`,
    );
    expect(record!.id).toBe(letter!.properties.messageId);
    expect(record!.reason).toMatch(reason);
    // `toEqual` would take minutes for 15 MB.
    expect(record!.body.equals(Buffer.from(content as string))).toBe(true);
    // Longer ones have their bytes in the record only.
    const isLong = content.length > CLAIM_CHECK_BYTES;
    expect(letter!.headers['x-claim-check']).toBe(isLong || undefined);
    expect(letter!.content).toBe(isLong ? '' : record!.body.toString('latin1'));
  });
});

test('a job whose message is longer than MAX_PAYLOAD by now takes the payload of its record', async () => {
  const id = uuidv7();
  const record = { id, name: 'greet.say', queue: 'greet', maxAttempts: 1, payload: '{"name":"as accepted"}' };
  await producer.app.get(JobStore).insert(record);
  await environment.publish('greet.say', 'x'.repeat(1024 * 1024 + 1), { ...fine(), messageId: id });
  await eventually(async () => (await find(id))?.state === 'succeeded');
  expect(greeted).toContain('as accepted');
});

test('P6: a payload that does not fit its contract is a dead letter at once, and a record tells where', async () => {
  const properties = fine();
  await environment.publish('greet.say', '{"name":7}', properties);
  const [letter] = await deadLetter();
  expect(letter!.headers['x-dead-reason']).toContain('/payload/name');
  expect(await find(properties.messageId)).toMatchObject({
    state: 'dead',
    attempt: 1,
    error: { class: 'ContractViolationError' },
  });
});

test('P6: a job without a handler is a dead letter at once', async () => {
  const { id } = await producer.jobs.enqueue(Orphan, {});
  await deadLetter();
  expect(await find(id)).toMatchObject({ state: 'dead', attempt: 1, error: { class: 'NoHandlerError' } });
});

test('a copied x-death decides nothing, and does not come out again', async () => {
  const properties = {
    ...fine(),
    headers: { 'x-death': [{ count: 99, queue: 'greet', reason: 'expired' }] },
  };
  await environment.publish('greet.say', '{"name":"Ada"}', properties);
  await eventually(async () => (await find(properties.messageId))?.state === 'succeeded');

  await environment.publish('greet.say', 'junk', { ...properties, messageId: uuidv7() });
  const [letter] = await deadLetter();
  expect(letter!.headers).not.toHaveProperty('x-death');
});

test('P6: a message of another user of the broker is a dead letter too, and holds up nobody', async () => {
  await environment.management('PUT', `/users/${environment.vhost}`, { password: 'other', tags: '' });
  await environment.management('PUT', `/permissions/{vhost}/${environment.vhost}`, {
    configure: '',
    write: '.*',
    read: '',
  });
  const url = new URL(environment.rabbitmqUrl);
  Object.assign(url, { username: environment.vhost, password: 'other' });
  const connection = await connect(url.href);
  const channel = await connection.createConfirmChannel();
  channel.publish('jobs', 'greet.say', Buffer.from('junk'), { ...fine(), userId: environment.vhost });
  await channel.waitForConfirms();
  await connection.close();
  const [letter] = await deadLetter();
  expect(letter!.content).toBe('junk');
  await environment.management('DELETE', `/users/${environment.vhost}`);
});

test('a message for which no queue is bound is kept', async () => {
  const properties = { ...fine(), type: 'greet.nobody' };
  await environment.publish('greet.nobody', '{"name":"x"}', properties);
  const job = await eventually(() => find(properties.messageId));
  expect(job).toMatchObject({ state: 'dead', queue: 'jobs.unroutable', payload: { name: 'x' } });
});

test('P6: the worker goes on after all of that', async () => {
  const { id } = await producer.jobs.enqueue(Greet, { name: 'Grace' });
  await eventually(async () => (await find(id))?.state === 'succeeded');
  expect(greeted).toContain('Grace');
});
