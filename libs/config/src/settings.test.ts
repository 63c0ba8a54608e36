import { expect, test } from '@jest/globals';
import { formatDuration, toMilliseconds } from '#define-job';
import { loadSettings, maskUrl, SettingsError } from './settings.js';

test('without anything set, the defaults are good for a local stack', () => {
  expect(loadSettings({})).toMatchObject({
    RABBITMQ_URL: ['amqp://guest:guest@localhost:5672'],
    PORT: 3000,
    WORKER_PORT: 3001,
    WORKER_QUEUES: [],
    WORKER_PREFETCH: {
      fallback: 20,
      queues: new Map([
        ['image', 2],
        ['report', 2],
      ]),
    },
    SHUTDOWN_GRACE: 25_000,
    API_KEYS: [],
  });
});

test('an empty value counts as not set', () => {
  expect(loadSettings({ PORT: '', WEBHOOK_SECRET: '' })).toEqual(loadSettings({}));
});

test('several addresses, queues and keys are separated by commas', () => {
  const settings = loadSettings({
    RABBITMQ_URL: 'amqp://a, amqps://b',
    WORKER_QUEUES: 'email, image',
    API_KEYS: 'k'.repeat(16),
  });
  expect(settings.RABBITMQ_URL).toEqual(['amqp://a', 'amqps://b']);
  expect(settings.WORKER_QUEUES).toEqual(['email', 'image']);
});

const KEY = 'k'.repeat(16);
test.each<[string, object]>([
  [`${KEY},${KEY}`, { key: KEY }],
  [`some:thing:${KEY}`, { key: `some:thing:${KEY}` }],
  [`enqueue:shop:${KEY}`, { key: KEY, limits: { name: 'shop', scopes: ['enqueue'] } }],
  [
    `enqueue+read:shop:email.*+report.generate:${KEY}`,
    {
      key: KEY,
      limits: { name: 'shop', scopes: ['enqueue', 'read'], contracts: ['email.*', 'report.generate'] },
    },
  ],
])('the API keys %p', (text, first) => {
  expect(loadSettings({ API_KEYS: text }).API_KEYS[0]).toEqual(first);
});

test.each([
  [`enqueue+raed:shop:${KEY}`, '"raed" is none of the scopes enqueue, read, operate'],
  ['read:shop:short', 'must be SCOPES:NAME:KEY'],
  [`read:${KEY}`, 'must be SCOPES:NAME:KEY'],
  [`read:a shop:${KEY}`, 'must be SCOPES:NAME:KEY'],
  [`read:shop:email.*:more:${KEY}`, 'must be SCOPES:NAME:KEY'],
  [`read:shop::${KEY}`, 'the contracts of shop must be names or patterns'],
  [`read:shop:email.(send|drop):${KEY}`, 'the contracts of shop must be names or patterns'],
  [`read:shop:${KEY},enqueue:shop:${KEY}2`, 'gives a name twice'],
  [`read:shop:${KEY},${KEY}`, 'a key with scopes a second time'],
])('the API keys %p are refused', (text, problem) => {
  expect(() => loadSettings({ API_KEYS: text })).toThrow(problem);
});

test('every wrong setting is named at once, with what was found, and no secret is shown', () => {
  const load = () =>
    loadSettings({
      RABBITMQ_URL: 'http://user:secret@x',
      PORT: '70000',
      WORKER_PREFETCH: '20,image=many',
      SHUTDOWN_GRACE: '30',
      API_KEYS: 'too-short',
    });
  expect(load).toThrow(SettingsError);
  const { message } = (() => {
    try {
      load();
    } catch (error) {
      return error as Error;
    }
    throw new Error('nothing was thrown');
  })();
  for (const name of ['RABBITMQ_URL', 'PORT', 'WORKER_PREFETCH', 'SHUTDOWN_GRACE', 'API_KEYS'])
    expect(message).toContain(`  ${name}: `);
  expect(message).toContain('found "70000"');
  expect(message).not.toMatch(/secret|too-short/);
});

test.each([
  ['amqp://user:pass@host:5672/vhost', 'amqp://***@host:5672/vhost'],
  ['connect postgresql://u:p%40w@db/x failed', 'connect postgresql://***@db/x failed'],
  ['amqp://user:p@ss@host', 'amqp://***@host'],
  ['https://token@host/path', 'https://***@host/path'],
  ['https://host/path?mail=a@b.co', 'https://host/path?mail=a@b.co'],
  ['no url, a@b.co', 'no url, a@b.co'],
])('maskUrl(%p)', (text, masked) => {
  expect(maskUrl(text)).toBe(masked);
});

test('maskUrl is done at once with a message that quotes a megabyte of base64', () => {
  const quote = 'Ab9+'.repeat(250_000);
  expect(maskUrl(`${quote} amqp://user:pass@host`)).toBe(`${quote} amqp://***@host`);
});

test('a password with an unescaped slash makes no URL, and is not shown', () => {
  const load = () => loadSettings({ RABBITMQ_URL: 'amqp://user:sec/ret@host' });
  expect(load).toThrow('RABBITMQ_URL: must be a URL');
  expect(load).not.toThrow('ret');
});

test('a limit that the broker cannot count, and a grace time that no timer can wait for, are refused', () => {
  const load = () => loadSettings({ WORKER_PREFETCH: '20,image=70000', SHUTDOWN_GRACE: '30d' });
  expect(load).toThrow('"image=70000" is neither 1 to 65535');
  expect(load).toThrow('SHUTDOWN_GRACE: must be at most 24h');
});

test('how long jobs are kept is told for all, and for single states of those that are not kept for ever', () => {
  const day = 86_400_000;
  const { JOB_RETENTION } = loadSettings({ JOB_RETENTION: '30d, succeeded=7d' });
  expect(JOB_RETENTION).toEqual({
    succeeded: 7 * day,
    cancelled: 30 * day,
    discarded: 30 * day,
    others: 30 * day,
  });
  for (const wrong of ['succeeded=7d', '30d,dead=7d', '30d,succeeded=', '7', '30d,a=b=c'])
    expect(() => loadSettings({ JOB_RETENTION: wrong })).toThrow('  JOB_RETENTION: ');
});

test('durations', () => {
  expect(['500ms', '5s', '2m', '1h', '7d'].map((text) => toMilliseconds(text as '5s'))).toEqual([
    500, 5_000, 120_000, 3_600_000, 604_800_000,
  ]);
  expect([500, 5_000, 120_000, 90_000, 604_800_000, 0].map(formatDuration)).toEqual([
    '500ms',
    '5s',
    '2m',
    '90s',
    '7d',
    '0ms',
  ]);
  for (const wrong of ['5', 's', '-1s', '1.5s', '5 s', '5w', ''])
    expect(() => toMilliseconds(wrong as '5s')).toThrow(RangeError);
});
