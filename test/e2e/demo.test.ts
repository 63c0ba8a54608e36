import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Environment, givenEnvironment } from '#testing/services';

const root = join(import.meta.dirname, '..', '..');
const LIMIT_MS = 85_000;

/** `npm run demo`, where its output is no terminal; interrupted when it has done what makes it stay. */
async function runDemo(
  environment: Record<string, string>,
  options: string[] = [],
  staying?: (output: string) => Promise<void>,
) {
  const child = execFile(process.execPath, ['dist/scripts/demo.js', ...options], {
    cwd: root,
    env: { PATH: process.env.PATH, ...environment },
  });
  let output = '';
  let stayed: Promise<unknown> | undefined;
  child.stdout!.on('data', (chunk) => {
    output += chunk;
    // It goes on to say that it stops.
    if (staying && output.includes('Ctrl-C stops everything'))
      stayed ??= staying(output).finally(() => child.kill('SIGINT'));
  });
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout!),
    text(child.stderr!),
    once(child, 'exit'),
  ]);
  await stayed;
  return { stdout, stderr, code };
}

describe('npm run demo', () => {
  let environment: Environment;
  let folder: string;
  beforeAll(async () => {
    environment = await givenEnvironment();
    folder = await mkdtemp(join(tmpdir(), 'warren-e2e-'));
  });
  afterAll(async () => {
    await environment?.close();
    await rm(folder, { recursive: true, force: true });
  });
  const settings = () => ({
    RABBITMQ_URL: environment.rabbitmqUrl,
    DATABASE_URL: environment.databaseUrl,
    TMPDIR: folder,
  });

  test(
    'does real jobs, sums them up, stays if it is told to, and then leaves nothing running',
    async () => {
      let dashboard = '';
      const { stdout, stderr, code } = await runDemo(settings(), ['--keep'], async (output) => {
        const addresses = /All is as expected\.\s+dashboard +(\S+)\n/;
        expect(output).toMatch(addresses);
        dashboard = await (await fetch(addresses.exec(output)?.[1] as string)).text();
      });

      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toContain('  ✔ All is as expected.\n');
      // Anyone who opens it may look and do.
      expect(dashboard).toContain('action="/dashboard/queues/email/pause"');
      expect(stdout).not.toContain('\x1b');
      // queue done/accepted (n queued n running n retrying n dead)
      for (const [, done = '', accepted = '', others = ''] of stdout.matchAll(
        /(?:s {2}|, )[a-z]+ ([\d,]+)\/([\d,]*\d)(?: \((.+?)\))?/g,
      )) {
        const numbers = [done, ...(others.match(/[\d,]+/g) ?? [])].map((text) =>
          Number(text.replace(',', '')),
        );
        const sum = numbers.reduce((all, one) => all + one);
        expect(sum).toBeLessThanOrEqual(Number(accepted.replace(',', '')));
      }
      // succeeded, dead, attempts
      expect(rowsOf(stdout)).toEqual({
        'demo.flaky': ['1', '1', '7'],
        'email.send': ['1,000', '0', '1,000'],
        'image.resize': ['6', '0', '6'],
        'report.generate': ['3', '0', '3'],
        'webhook.deliver': ['20', '0', '20'],
      });
      expect(stdout).toMatch(/Mails +1,000 received/);
      expect(stdout).toMatch(/Webhooks +20 received/);
      expect(stdout).toMatch(/Reports +3 files with 3,650 rows/);
      expect(stdout).toMatch(/Pictures +18 files/);
      expect(stdout).toMatch(/Debounced +50 requests with one key made 1 job/);
      expect(stdout).toMatch(/Tagged +1,000 jobs of 2 contracts in one request, 1,000 cancelled/);
      expect(stdout).toMatch(/Corrected +the dead letter, .+: succeeded/);
      expect(stdout).toMatch(/Too late +a job in a paused queue .+: dead/);

      const counts = await environment.sql(
        'select state, count(*)::int from jobs group by state order by state',
      );
      expect(counts).toEqual([
        { state: 'cancelled', count: 1_000 },
        { state: 'dead', count: 1 },
        { state: 'succeeded', count: 1_032 },
      ]);

      const ports = [...stdout.matchAll(/✔ The (?:api|worker) on port (\d+)/g)].map(([, port]) => port);
      expect(ports).toHaveLength(2);
      for (const port of ports) {
        await expect(fetch(`http://127.0.0.1:${port}/health/live`)).rejects.toThrow('fetch failed');
      }
      await expect(readdir(folder)).resolves.toEqual([]);
      // Services that were given are used, not ended: had the demo left a connection to them, it would show here.
      const connections = await environment.sql(
        'select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
      );
      expect(connections).toEqual([]);
    },
    LIMIT_MS,
  );

  test('refuses a database where jobs of others wait', async () => {
    await environment.sql("update jobs set state = 'queued' where id = (select id from jobs limit 1)");

    const { stdout, code } = await runDemo(settings());

    expect(stdout).toMatch(/✘ Jobs that are not the demo's wait in the database \(queue \w+: 1\)/);
    expect(code).toBe(1);
  });

  test('explains itself', async () => {
    expect((await runDemo({}, ['--help'])).stdout).toContain('--keep');

    const { stderr, code } = await runDemo({}, ['--kep']);
    expect(stderr).toContain("Unknown option '--kep'");
    expect(code).toBe(2);
  });
});

/** The rows of the summary: what is counted of each job, by its name. */
function rowsOf(output: string): Record<string, string[]> {
  const [, ...lines] = output.slice(output.indexOf('succeeded  dead')).split('\n');
  const rows = lines.slice(0, lines.indexOf('')).map((line) => line.trim().split(/ {2,}/));
  return Object.fromEntries(
    rows.map(([name, succeeded, dead, attempts]) => [name, [succeeded, dead, attempts]]),
  );
}
