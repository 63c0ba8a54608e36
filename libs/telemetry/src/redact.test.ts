import { expect, test } from '@jest/globals';
import { forwardedLog } from './forwarded-log.js';
import { scrubbedLog } from './logger.js';

function given() {
  const lines: Record<string, unknown>[] = [];
  const log = forwardedLog('trace', (line) => lines.push(JSON.parse(line)));
  return { log, lines };
}

test('a line has no payload, no result, and nothing under a key that names a secret, at any depth', () => {
  const { log, lines } = given();
  log.info({ payload: { a: 1 }, deep: [{ result: 'x', apiKey: 'y', rows: 3 }], hasToken: true }, 'done');
  expect(lines).toEqual([
    {
      ...{ level: 'info', msg: 'done', payload: '[redacted]', hasToken: true },
      deep: [{ result: '[redacted]', apiKey: '[redacted]', rows: 3 }],
    },
  ]);
});

test('nor have the fields of a child', () => {
  const { log, lines } = given();
  log.child({ password: 'x', part: 1 }).child({ cookie: 'y' }).info('here');
  expect(lines).toEqual([
    { level: 'info', msg: 'here', password: '[redacted]', part: 1, cookie: '[redacted]' },
  ]);
});

test('an error has no fields of its own but its code, and no credentials in URLs', () => {
  const { log, lines } = given();
  const error = Object.assign(new Error('no amqp://a:b@host', { cause: new Error('why') }), {
    code: 'E1',
    parameters: ['x'],
  });
  log.warn(error);
  expect(lines).toMatchObject([
    { msg: 'no amqp://***@host', err: { type: 'Error', message: 'no amqp://***@host', code: 'E1' } },
  ]);
  expect(lines[0]?.err).toMatchObject({ stack: expect.any(String), cause: { message: 'why' } });
  expect(lines[0]?.err).not.toHaveProperty('parameters');
});

test('texts that a job knows as secrets are taken out wherever they stand, of children too', () => {
  const { log, lines } = given();
  const own = scrubbedLog(log.child({ job: '1' }), (text) => text.replaceAll('1234', '[redacted]'));
  own.child({ card: '1234' }).error({ err: new RangeError('of 1234') }, 'card 1234');
  expect(lines).toMatchObject([
    {
      job: '1',
      card: '[redacted]',
      msg: 'card [redacted]',
      err: { type: 'RangeError', message: 'of [redacted]' },
    },
  ]);
});

test('a line is written whatever it holds', () => {
  const { log, lines } = given();
  const circle: Record<string, unknown> = { a: 1 };
  circle.circle = circle;
  const failing = {
    get odd() {
      throw new Error('never');
    },
  };
  log.info({ circle, bytes: Buffer.alloc(3), at: new Date(0), none: null }, 'odd');
  log.info({ failing }, 'worse');
  expect(lines).toEqual([
    {
      ...{ level: 'info', msg: 'odd', circle: { a: 1, circle: '[…]' }, bytes: '[3 bytes]' },
      ...{ at: '1970-01-01T00:00:00.000Z', none: null },
    },
    { level: 'info', msg: 'worse', unreadable: '[redacted]' },
  ]);
});
