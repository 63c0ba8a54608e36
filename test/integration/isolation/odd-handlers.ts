import { parentPort } from 'node:worker_threads';
import { from, throwError } from 'rxjs';
import { z } from 'zod';
import {
  defineJob,
  type JobContext,
  JobHandler,
  NonRetryableError,
  RetryAfterError,
  Snooze,
  secret,
  snooze,
} from '#jobs';

const circle: { self?: unknown } = {};
circle.self = circle;
const raise = (): never => {
  throw new Error('not to be read');
};
const proxy = new Proxy(new Error('hidden'), {
  get: () => raise(),
  ownKeys: () => raise(),
  getPrototypeOf: () => raise(),
});
class Unreadable extends NonRetryableError {
  override get message() {
    return raise();
  }
  override get stack() {
    return raise();
  }
}
class Money {
  constructor(readonly cents: number) {}
  euros = () => this.cents / 100;
  toJSON = () => this.euros().toFixed(2);
}
const odd = [
  undefined,
  null,
  NaN,
  Infinity,
  -1,
  'half',
  1n,
  Symbol('s'),
  () => 1,
  {},
  circle,
  proxy,
  Object.create(null),
];
const texts = [...odd, '\0 \ud800', 'x'.repeat(300), { step: 1 }, { toString: raise, toJSON: raise }];
// biome-ignore lint/suspicious/noExplicitAny: what the types forbid is what is tried
type Anything = any;

/** What a handler can hand over, each by its name. */
export const oddities: Record<string, (job: JobContext<Anything>) => unknown> = {
  'odd progress': ({ progress }: Anything) => {
    for (const fraction of odd) for (const note of texts) progress(fraction, note);
    progress(0.45, { step: 1 });
  },
  'odd log lines': ({ log }: Anything) => {
    for (const one of [...texts, new Unreadable('u')]) {
      for (const fields of [one, { one }, { err: one }, { level: one }, { msg: one }]) {
        log.info(fields);
        log.warn(fields, one);
      }
      log.info('%s %d %j %o', one, one, one, one);
      log.child({ one }).info('child');
    }
    for (const level of ['child', 'nonsense', '__proto__', 'silent', 'constructor'])
      log.info({ level }, 'level');
  },
  posts: () => {
    for (const one of [
      undefined,
      'hello',
      {},
      { kind: 'ended', ending: { how: 'returned' } },
      { kind: 'progress' },
    ])
      parentPort?.postMessage(one);
    parentPort?.postMessage({ kind: 'progress', run: 1, fraction: {}, note: 7 });
    parentPort?.postMessage({ kind: 'log', run: 1, line: 7 });
    parentPort?.postMessage({ kind: 'threw', run: 1, error: null });
    parentPort?.postMessage({ kind: 'uncaught' });
  },
  ...Object.fromEntries(
    texts.flatMap((one, index) => [
      [`throws ${index}`, () => Promise.reject(one)],
      [`fails with ${index}`, () => Promise.reject(new Error(one as string))],
      [`has the cause ${index}`, () => Promise.reject(new Error('effect', { cause: one }))],
    ]),
  ),
  'throws what cannot be read': () => Promise.reject(new Unreadable()),
  'throws a huge text': () => Promise.reject('x'.repeat(50_000_000)),
  'throws an aggregate': () =>
    Promise.any([
      Promise.reject(new TypeError('one')),
      Promise.reject(Object.assign(new Error('two'), { code: 'E2' })),
    ]),
  'throws a circle of causes': () => {
    const error = new Error('round');
    error.cause = error;
    throw error;
  },
  'throws an error without a prototype': () => Promise.reject(Object.setPrototypeOf(new Error('bare'), null)),
  'throws its secret': ({ payload }) =>
    Promise.reject(new Error(`wrong: ${payload.code}`, { cause: payload })),
  'snoozes for nonsense': () => Object.assign(snooze('1h'), { delay: '5 parsecs' }),
  'snoozes for nothing': () => Object.create(Snooze.prototype),
  'snoozes for NaN': () => snooze(NaN),
  'retries after nonsense': () =>
    Promise.reject(Object.assign(new RetryAfterError('1h'), { delay: '5 parsecs' })),
  'retries after NaN': () => Promise.reject(Object.assign(new RetryAfterError('1h'), { delay: NaN })),
  // biome-ignore-start lint/suspicious/noThenProperty: thenables are what is tried
  'returns a rejection': () => ({
    then: (_: unknown, reject: (error: Error) => void) => reject(new Error('then')),
  }),
  'returns a thenable that throws': () => ({ then: raise }),
  // biome-ignore-end lint/suspicious/noThenProperty: thenables are what is tried
  'returns an observable': () => from([1, 2, 3]),
  'returns an observable that fails': () => throwError(() => new Error('observed')),
  ...Object.fromEntries(odd.map((one, index) => [`returns ${index}`, () => ({ one })])),
  'returns a map': () => ({ map: new Map([[1, 2]]) }),
  'returns toJSON that throws': () => ({ toJSON: raise }),
  'returns classes': ({ payload, previous }) => ({
    price: new Money(120),
    url: new URL('https://example.com/a?b=c'),
    buffer: Buffer.from('ab'),
    date: new Date(0),
    euros: payload.price.euros(),
    previous,
  }),
};

const odds = {
  queue: 'odd',
  retry: ['1h', '1h'] as const,
  payload: z.object({
    how: z.string(),
    code: secret(z.string()).default('s3cr3t-code'),
    price: z
      .number()
      .default(350)
      .transform((cents) => new Money(cents)),
  }),
};
const handle = (job: JobContext<Anything>) => oddities[job.payload.how]?.(job);

/** On the worker's own thread. */
export const OddPlain = defineJob({ ...odds, name: 'odd.plain' });
@JobHandler(OddPlain)
export class OddPlainHandler {
  handle(job: JobContext<typeof OddPlain>): unknown {
    return handle(job);
  }
}

/** The same in a thread. */
export const OddIsolated = defineJob({ ...odds, name: 'odd.isolated' });
@JobHandler(OddIsolated, { isolated: true })
export class OddIsolatedHandler {
  handle(job: JobContext<typeof OddIsolated>): unknown {
    return handle(job);
  }
}
