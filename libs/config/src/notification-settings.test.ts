import { expect, test } from '@jest/globals';
import { loadSettings } from './settings.js';

test('an address of Slack has its form, others JSON, and either can be chosen', () => {
  const addresses = [
    'https://hooks.slack.com/services/T/B/x',
    'https://hooks.slack.com.example.com/x',
    'slack=https://chat.example.com/hooks/x',
    'json=https://hooks.slack.com/x',
  ];
  expect(loadSettings({ NOTIFY_WEBHOOKS: addresses.join(', ') }).NOTIFY_WEBHOOKS).toEqual([
    { form: 'slack', url: 'https://hooks.slack.com/services/T/B/x' },
    { form: 'json', url: 'https://hooks.slack.com.example.com/x' },
    { form: 'slack', url: 'https://chat.example.com/hooks/x' },
    { form: 'json', url: 'https://hooks.slack.com/x' },
  ]);
  expect(loadSettings({}).NOTIFY_WEBHOOKS).toEqual([]);
});

test.each([
  'hooks.slack.com/T/B/x',
  'ftp://example.com',
  'https://user:word@example.com',
  'slack=',
  'teams=https://a.b',
])('NOTIFY_WEBHOOKS=%s is refused, and not shown', (address) => {
  const load = () => loadSettings({ NOTIFY_WEBHOOKS: address });
  expect(load).toThrow(/NOTIFY_WEBHOOKS: each must be a URL .* \(found a value that is not shown\)/);
});

test('a backlog has a size of its own for each queue', () => {
  const { fallback, queues } = loadSettings({ NOTIFY_BACKLOG: 'report=20' }).NOTIFY_BACKLOG;
  expect([fallback, ...queues]).toEqual([1_000, ['report', 20]]);
});
