import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { NonRetryableError, RetryAfterError, retryPolicy, toMilliseconds } from '#define-job';
import { saidBy } from '#records';
import { decide, describeError, FALLBACK_DELAY } from './outcome.js';

const retry = retryPolicy(['5s', '1m']);

describe('decide', () => {
  test('a success is the end', () => {
    expect(decide({ kind: 'succeeded', result: '1' }, retry, 1)).toEqual({
      settlement: { state: 'succeeded', result: '1' },
    });
  });
  test('P5: each failure waits for its own delay, the one after the last is a dead letter', () => {
    const failed = { kind: 'failed', error: new Error('no') } as const;
    expect(decide(failed, retry, 1)).toMatchObject({
      retryDelay: '5s',
      settlement: { state: 'retrying', runInMs: 5_000 },
    });
    expect(decide(failed, retry, 2)).toMatchObject({
      retryDelay: '1m',
      settlement: { state: 'retrying', runInMs: 60_000 },
    });
    expect(decide(failed, retry, 3)).toMatchObject({ deadReason: 'no', settlement: { state: 'dead' } });
  });
  test('the relay is to publish what this worker could not, a little after it would have', () => {
    const { settlement } = decide({ kind: 'failed', error: new Error('no') }, retry, 1);
    expect(settlement.publishInMs).toBeGreaterThan(settlement.runInMs!);
  });
  test('NonRetryableError is a dead letter at once; RetryAfterError waits in the record, and not past the last try', () => {
    expect(decide({ kind: 'failed', error: new NonRetryableError('never') }, retry, 1).deadReason).toBe(
      'never',
    );
    const later = { kind: 'failed', error: new RetryAfterError('90s') } as const;
    expect(decide(later, retry, 1)).toMatchObject({
      settlement: { state: 'retrying', runInMs: 90_000, publishInMs: 90_000 },
    });
    expect(decide(later, retry, 1).retryDelay).toBeUndefined();
    expect(decide(later, retry, 3).settlement.state).toBe('dead');
  });
  test('P5: a policy that throws or gives no delay is no reason to lose the job: it waits, and what was wrong is told', () => {
    const failed = { kind: 'failed', error: new Error('no') } as const;
    const own = (delay: () => never) => decide(failed, retryPolicy({ attempts: 2, delay }), 1);
    const thrower = () => {
      throw new Error('no delay');
    };
    for (const decision of [own(thrower), own(() => 'soon' as never)]) {
      const ms = toMilliseconds(FALLBACK_DELAY);
      expect(decision).toMatchObject({ settlement: { state: 'retrying', runInMs: ms, publishInMs: ms } });
      expect(decision.problem).toBeInstanceOf(Error);
    }
    const far = decide(failed, retryPolicy({ attempts: 2, delay: () => 1e15 }), 1);
    expect(far.settlement.runInMs).toBe(365 * 86_400_000);
  });
  test('snoozed, released and lost use up no attempt', () => {
    expect(decide({ kind: 'snoozed', delay: '1h' }, retry, 3).settlement).toEqual({
      state: 'scheduled',
      released: true,
      runInMs: 3_600_000,
      publishInMs: 3_600_000,
    });
    const back = { state: 'queued', released: true };
    expect(decide({ kind: 'released' }, retry, 3).settlement).toMatchObject(back);
    expect(decide({ kind: 'crashed', error: new Error('x') }, retry, 3).settlement).toMatchObject({
      ...back,
      error: expect.stringContaining('"message":"x"'),
    });
  });
  test('whatever happens, a job that has not ended has a message on its way or in the outbox', () => {
    const outcome = fc.oneof(
      fc.constant({ kind: 'succeeded', result: '1' } as const),
      fc.constant({ kind: 'released' } as const),
      fc.record({ kind: fc.constant('crashed' as const), error: fc.anything() }),
      fc.record({ kind: fc.constant('snoozed' as const), delay: fc.nat() }),
      fc.record({
        kind: fc.constant('failed' as const),
        error: fc.oneof(
          fc.anything(),
          fc.nat().map((delay) => new RetryAfterError(delay)),
        ),
      }),
    );
    fc.assert(
      fc.property(outcome, fc.integer({ min: 1, max: 10 }), (outcome, attempt) => {
        const { settlement } = decide(outcome, retry, attempt);
        const isOwed = settlement.publishInMs !== undefined;
        expect(isOwed).toBe(outcome.kind !== 'succeeded');
        expect(settlement.state === 'retrying').toBe(
          settlement.state !== 'dead' && outcome.kind === 'failed',
        );
      }),
    );
  });
});

describe('describeError', () => {
  test.each<[unknown, string, string]>([
    [new TypeError('bad'), 'TypeError', 'bad'],
    [new (class Custom extends Error {})('mine'), 'Custom', 'mine'],
    ['just text', 'string', 'just text'],
    [{ message: 'an object' }, 'object', 'an object'],
    [undefined, 'undefined', 'undefined'],
    [new Error(''), 'Error', 'Error'],
    [
      new Error('connect postgres://me:p%40ss@db/x and https://k@host'),
      'Error',
      'connect postgres://***@db/x and https://***@host',
    ],
  ])('%p', (thrown, className, message) => {
    expect(describeError(thrown)).toMatchObject({ class: className, message });
  });
  test('whatever is thrown, it is short enough, and jsonb can hold it', () => {
    fc.assert(
      fc.property(fc.anything(), (thrown) => {
        const stored = describeError(
          thrown instanceof Error
            ? thrown
            : Object.assign(new Error(String(typeof thrown)), { stack: JSON.stringify(thrown) }),
        );
        const text = JSON.stringify(stored);
        expect(text).not.toMatch(/\\u0000|\\ud[89a-f]/i);
        expect(Buffer.byteLength(stored.stack ?? '')).toBeLessThanOrEqual(8_192);
      }),
    );
  });

  test('all that caused it is kept, with class, message and code, and the errors of an aggregate', () => {
    const refused = Object.assign(new Error('connect ECONNREFUSED ::1:80'), { code: 'ECONNREFUSED' });
    const timedOut = Object.assign(new RangeError('connect timed out'), { code: 7 });
    const all = new AggregateError([refused, timedOut, 'a text'], '');
    const described = describeError(new TypeError('fetch failed', { cause: all }));
    expect(described).toMatchObject({ class: 'TypeError', message: 'fetch failed' });
    expect(described.causes).toEqual([
      { class: 'AggregateError', message: 'AggregateError' },
      { class: 'Error', message: 'connect ECONNREFUSED ::1:80', code: 'ECONNREFUSED' },
      { class: 'RangeError', message: 'connect timed out', code: '7' },
      { class: 'string', message: 'a text' },
    ]);
    expect(saidBy(described)).toBe('fetch failed: a text');
    expect(decide({ kind: 'failed', error: all }, retryPolicy([]), 1).deadReason).toBe(
      'AggregateError: a text',
    );
    expect(saidBy(describeError(new Error('why: connect timed out', { cause: timedOut })))).toBe(
      'why: connect timed out',
    );
    expect(describeError(new Error('alone'))).not.toHaveProperty('causes');
  });
  test.each<[string, unknown]>([
    ['a circle', circular()],
    [
      'a getter that throws',
      Object.defineProperty(new Error('a'), 'cause', { get: () => circular().nothing.at }),
    ],
    ['a proxy', new Error('a', { cause: new Proxy(new Error('b'), { get: () => circular().nothing.at }) })],
    [
      'a thousand errors',
      new AggregateError(Array.from({ length: 1_000 }, () => new Error('€'.repeat(1_000)))),
    ],
    ['errors that are none', Object.assign(new Error('a'), { errors: [{ value: 'hunter22' }] })],
    ['no text for jsonb', new Error('a', { cause: new Error('b\0\ud800') })],
    ['a secret', new Error('a', { cause: Object.assign(new Error('of hunter22'), { code: 'hunter22' }) })],
    ['an object with a secret', new Error('a', { cause: { at: { apiKey: 'swordfish' } } })],
    ['a URL', new Error('a', { cause: new Error('amqp://me:hunter22@host') })],
  ])('causes are cut, storable, and without secrets: %s', (_, thrown) => {
    const scrub = (text: string) => text.replaceAll('hunter22', '[redacted]');
    const text = JSON.stringify(describeError(thrown, { scrub }));
    expect(text).not.toMatch(/\\u0000|\\ud[89a-f]|hunter22|swordfish/i);
    expect(text.match(/"class"/g)!.length).toBeLessThanOrEqual(21);
    expect(Buffer.byteLength(text)).toBeLessThan(24_000);
  });
  test('a circle of causes ends where it begins', () => {
    expect(describeError(circular()).causes).toEqual([{ class: 'Error', message: 'inner' }]);
  });
});

// biome-ignore lint/suspicious/noExplicitAny: read in ways that an error is not made for
function circular(): any {
  const inner = new Error('inner');
  const outer = new Error('outer', { cause: inner });
  inner.cause = outer;
  return outer;
}
