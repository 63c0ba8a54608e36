import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';

test('npm test of a test that stands alone starts no services, and builds nothing', () => {
  const nowhere = { RABBITMQ_URL: 'amqp://127.0.0.1:1', DATABASE_URL: 'postgresql://127.0.0.1:1/none' };
  const { status, stderr } = spawnSync('npm', ['test', '--silent', '--', 'check-node'], {
    cwd: join(import.meta.dirname, '..'),
    env: { ...process.env, ...nowhere },
    encoding: 'utf8',
  });
  expect(stderr).toContain('PASS scripts/check-node.test.ts');
  expect(stderr).not.toContain('no security fixes');
  expect(status).toBe(0);
});
