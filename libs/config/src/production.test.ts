import { readFile } from 'node:fs/promises';
import { parseEnv } from 'node:util';
import { expect, test } from '@jest/globals';
import { loadSettings, SettingsError } from './settings.js';

const fit = {
  NODE_ENV: 'production',
  RABBITMQ_URL: 'amqps://warren-api:4f1c0a97be22@broker.internal/warren',
  DATABASE_URL: 'postgresql://warren_app:9e07d3c15ab8@db.internal/warren?sslmode=verify-full',
  API_KEYS: '0f8c1d2ab39e47c65a7b',
};

test('production takes secrets of your own', () => {
  expect(loadSettings(fit)).toMatchObject({ NODE_ENV: 'production' });
  const withIdentity = { ...fit, DATABASE_URL: 'postgresql://warren_app@db.internal/warren' };
  expect(loadSettings(withIdentity)).toMatchObject({ DATABASE_URL: withIdentity.DATABASE_URL });
});

test.each([
  ['RABBITMQ_URL', 'amqp://guest:guest@broker.internal', 'a password that everybody knows'],
  ['RABBITMQ_URL', 'amqp://broker.internal/warren', 'names no user, which means guest'],
  ['RABBITMQ_URL', 'amqp://warren:warren@broker.internal', 'a password that everybody knows'],
  ['RABBITMQ_URL', `${fit.RABBITMQ_URL},amqp://guest:guest@other`, 'a password that everybody knows'],
  ['DATABASE_URL', 'postgresql://postgres:postgres@db/warren', 'make a role for this app'],
  ['DATABASE_URL', 'postgresql://warren_app:change-me@db/warren', 'a password that everybody knows'],
  ['DATABASE_URL', 'postgresql://warren_app:%63hangeme@db/warren', 'a password that everybody knows'],
  ['DATABASE_URL', `${fit.DATABASE_URL.split('?')[0]}?sslmode=no-verify`, 'sslmode=verify-full'],
  ['DATABASE_URL', `${fit.DATABASE_URL.split('?')[0]}?ssl=no-verify`, 'sslmode=verify-full'],
  [
    'DATABASE_URL',
    `${fit.DATABASE_URL.split('?')[0]}?uselibpqcompat=true&sslmode=require`,
    'sslmode=verify-full',
  ],
  ['API_KEYS', `${fit.API_KEYS},replace-me-with-a-key`, 'an example or a placeholder'],
  ['API_KEYS', 'xxxxxxxxxxxxxxxxxxxx', 'an example or a placeholder'],
  ['API_KEYS', 'enqueue+read:shop:xxxxxxxxxxxxxxxxxxxx', 'an example or a placeholder'],
  ['WEBHOOK_SECRET', `whsec_${'A'.repeat(44)}`.slice(0, 50), 'an example or a placeholder'],
  ['SMTP_URL', 'smtp://mail:password@mail.internal', 'set one of your own'],
])('production refuses %s=%s', (name, value, why) => {
  const load = () => loadSettings({ ...fit, [name]: value });
  expect(load).toThrow(SettingsError);
  expect(load).toThrow(`  ${name}: `);
  expect(load).toThrow(why);
  expect(() => loadSettings({ ...fit, NODE_ENV: 'development', [name]: value })).not.toThrow();
});

test('production refuses the defaults, and every secret that .env.example shows, all at once', async () => {
  const example = await readFile(new URL('../../../.env.example', import.meta.url), 'utf8');
  const uncommented = parseEnv(example.replace(/^# (?=[A-Z_]+=)/gm, ''));
  for (const settings of [{}, uncommented]) {
    const load = () => loadSettings({ ...settings, NODE_ENV: 'production', PORT: 'many' });
    for (const name of ['RABBITMQ_URL', 'DATABASE_URL', 'PORT']) expect(load).toThrow(`  ${name}: `);
  }
});

test('a default that will not do is told as one', () => {
  const load = () => loadSettings({ ...fit, RABBITMQ_URL: '' });
  expect(load).toThrow('RABBITMQ_URL: is not set, and its default has a password that everybody knows');
});

test('what is wrong with a secret is told, and not the secret', () => {
  const load = () => loadSettings({ ...fit, API_KEYS: 'change-me-to-something-long' });
  expect(load).not.toThrow('to-something-long');
});
