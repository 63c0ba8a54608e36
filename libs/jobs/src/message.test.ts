import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { z } from 'zod';
import { defineJob } from '#define-job';
import type { Delivery, OutgoingMessage } from '#rabbitmq';
import { Contracts } from './contracts.js';
import { decode } from './decode.js';
import { encode } from './message.js';

const contracts = new Contracts([defineJob({ name: 'a.b', queue: 'a', payload: z.unknown() })]);
const id = '01890a5d-ac96-774b-bcce-b302099a8057';

const delivered = ({ content, properties }: Pick<OutgoingMessage, 'content' | 'properties'>, queue = 'a') =>
  ({ queue, message: { content, properties, fields: {} }, ack: () => {} }) as unknown as Delivery;

test('what is encoded is decoded again', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.nat(1_000), fc.nat(3), (value, retries, upgrades) => {
      const [attempt, version] = [1 + retries, 1 + upgrades];
      const payload = JSON.stringify(value);
      fc.pre(!/__proto__|constructor/.test(payload));
      const message = encode({ id, name: 'a.b', queue: 'a', attempt, version, payload }, contracts);
      expect('x-version' in (message.properties.headers ?? {})).toBe(version > 1);
      expect(decode(delivered(message))).toEqual({
        id,
        name: 'a.b',
        queue: 'a',
        attempt,
        version,
        payload,
        value: JSON.parse(payload),
      });
    }),
  );
});

test('a message carries the context of its trace in its headers, with and without a tracestate', () => {
  const traceparent = `00-${'ab'.repeat(16)}-${'cd'.repeat(8)}-01`;
  const job = { id, name: 'a.b', queue: 'a', attempt: 1, payload: '1' };
  for (const [tracestate, read] of [
    ['k=v,o=w', `${traceparent} k=v,o=w`],
    [undefined, traceparent],
    ['x'.repeat(513), traceparent],
    ['k=\u00e9', traceparent],
    [17, traceparent],
  ] as const) {
    const message = encode({ ...job, traceparent: read }, contracts);
    if (read !== traceparent || tracestate === undefined)
      expect(message.properties.headers).toEqual({
        'x-attempt': 1,
        traceparent,
        ...(tracestate && { tracestate }),
      });
    message.properties.headers = { traceparent, tracestate };
    expect(decode(delivered(message))).toMatchObject({ traceparent: read });
  }
});

test('P6: decoding never throws, whatever the bytes and the properties', () => {
  const anything = fc.anything({ withBigInt: true, withDate: true, withMap: true });
  fc.assert(
    fc.property(
      fc.uint8Array(),
      fc.dictionary(fc.constantFrom('messageId', 'type', 'contentType', 'contentEncoding'), anything),
      fc.dictionary(fc.constantFrom('x-attempt', 'x-version', 'x-claim-check', 'x-death'), anything),
      (content, properties, headers) => {
        const message = { content: Buffer.from(content), properties: { ...properties, headers } };
        expect(decode(delivered(message as never))).toBeDefined();
      },
    ),
    { numRuns: 1_000 },
  );
});

test('a job for its own queue goes by its name, for another by that queue', () => {
  const job = { id, name: 'a.b', attempt: 1, payload: '1' };
  expect(encode({ ...job, queue: 'a' }, contracts)).toMatchObject({ exchange: 'jobs', routingKey: 'a.b' });
  expect(encode({ ...job, queue: 'z' }, contracts)).toMatchObject({
    exchange: 'jobs',
    routingKey: 'queue.z.a.b',
  });
  expect(encode({ ...job, queue: 'a' }, contracts, { retryDelay: '60s' })).toMatchObject({
    exchange: 'jobs.retry',
    routingKey: 'a.b',
    properties: { headers: { 'retry-delay': '1m' } },
  });
  expect(encode({ ...job, queue: 'z' }, contracts, { deadReason: 'x' })).toMatchObject({
    exchange: 'jobs.dead',
    routingKey: 'z',
  });
});

test('a payload of more than 128 KiB stays in the record', () => {
  const message = encode(
    { id, name: 'a.b', queue: 'a', attempt: 1, payload: JSON.stringify('x'.repeat(131_072)) },
    contracts,
  );
  expect(message.content).toHaveLength(0);
  expect(decode(delivered(message))).toMatchObject({ id, payload: null });
});
