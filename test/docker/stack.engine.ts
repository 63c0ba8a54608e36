import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import sharp from 'sharp';
import { eventually } from '#testing';
import { composeRuns } from '../../scripts/services/compose.js';
import { type Container, givenProject, type Project } from './project.js';

const WORKERS = 3;
/** More than the workers run at once, so that some run and some wait when they are told to stop. */
const REPORTS = 8;
/** A first build downloads every package. */
const UP_LIMIT_MS = 1_200_000;
const JOB_LIMIT_MS = 120_000;

interface Job {
  id: string;
  state: string;
  attempt: number;
  result: unknown;
  error: unknown;
}

const hasEngine = await composeRuns();
if (!hasEngine) console.warn('Skipped: no Docker engine answers, or the docker command has no Compose');

(hasEngine ? describe : describe.skip)('docker compose up', () => {
  let project: Project;
  let api: string;

  beforeAll(async () => {
    project = givenProject();
    await project.compose(['up', '--build', '--wait', '--scale', `worker=${WORKERS}`]);
    api = await project.address('api', 3000);
  }, UP_LIMIT_MS);
  afterAll(async () => {
    await project?.compose(['--profile', 'metrics', 'down', '--volumes', '--timeout', '0']);
    expect(await project?.remains()).toEqual([]);
  });

  async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(`${api}${path}`, {
      method,
      headers: body ? { 'content-type': 'application/json' } : {},
      body: body ? JSON.stringify(body) : undefined,
    });
    if (!response.ok)
      throw new Error(`${method} ${path} answered ${response.status}: ${await response.text()}`);
    return (await response.json()) as T;
  }
  const enqueue = (name: string, payload: unknown) => call<Job>('POST', '/jobs', { name, payload });
  const find = ({ id }: Job) => call<Job>('GET', `/jobs/${id}`);
  /** The job once it has succeeded. */
  const succeeded = (job: Job) =>
    eventually(async () => {
      const found = await find(job);
      if (found.state === 'dead') throw new Error(`${found.state}: ${JSON.stringify(found.error)}`);
      return found.state === 'succeeded' ? found : undefined;
    }, JOB_LIMIT_MS);
  const inWorker = (...command: string[]) => project.compose(['exec', '-T', 'worker', ...command]);

  test('all of it is healthy, the migration has ended, and nothing is open to other machines', async () => {
    const services = ['api', 'worker', 'rabbitmq', 'postgres', 'mail'];
    const running = (await Promise.all(services.map(project.containers))).flat();
    expect(running).toHaveLength(services.length - 1 + WORKERS);
    expect(running.map(({ State }) => State.Health?.Status)).toEqual(running.map(() => 'healthy'));
    const [migration] = await project.containers('migrate');
    expect(migration?.State).toMatchObject({ Status: 'exited', ExitCode: 0 });

    const published = running.flatMap((container) => Object.values(container.NetworkSettings.Ports).flat());
    expect(new Set(published.flatMap((port) => port?.HostIp ?? []))).toEqual(new Set(['127.0.0.1']));

    expect((await fetch(`${api}/jobs`)).status).toBe(200);
    expect((await fetch(`${api}/dashboard`)).status).toBe(200);
  });

  test('email.send: the mail catcher has the mail', async () => {
    await succeeded(await enqueue('email.send', { to: 'ada@example.com', subject: 'Hello', text: 'Hi' }));
    const mailbox = await project.address('mail', 8025);
    const { total } = (await (await fetch(`${mailbox}/api/v1/messages`)).json()) as { total: number };
    expect(total).toBe(1);
  });

  test('image.resize: sharp works in the image, and the volume takes the files', async () => {
    const picture = await sharp({ create: { width: 400, height: 200, channels: 3, background: '#c33' } })
      .png()
      .toBuffer();
    await project.compose(['exec', '-T', 'worker', 'sh', '-c', 'cat > var/files/red.png'], picture);
    const { result } = await succeeded(
      await enqueue('image.resize', { source: 'red.png', widths: [100], format: 'webp' }),
    );
    const { files } = result as { files: { path: string; width: number; height: number }[] };
    expect(files).toMatchObject([{ width: 100, height: 50 }]);
    await inWorker('test', '-s', `var/files/${files[0]!.path}`);
  });

  test('the apps run as nobody special, can write nothing but files of jobs, and know their memory', async () => {
    const apps = [...(await project.containers('api')), ...(await project.containers('worker'))];
    expect(apps.map(({ HostConfig }) => HostConfig.ReadonlyRootfs)).not.toContain(false);
    for (const [service, limitMb] of Object.entries({ api: 512, worker: 1024 })) {
      const run = (...command: string[]) => project.compose(['exec', '-T', service, ...command]);
      expect((await run('id', '-u')).trim()).not.toBe('0');
      await expect(run('touch', '/app/dist/here')).rejects.toThrow('Read-only file system');
      const heap = Number(await run('node', '-p', 'v8.getHeapStatistics().heap_size_limit')) / 2 ** 20;
      expect(heap).toBeGreaterThan(limitMb / 4);
      expect(heap).toBeLessThan(limitMb * 0.75);
    }
  });

  test('P8: workers that are stopped while they run reports end with 0, and no report is lost or fails', async () => {
    await inWorker('node', 'dist/scripts/demo-sales.js');
    const reports = await Promise.all(
      Array.from({ length: REPORTS }, () =>
        enqueue('report.generate', { from: '2025-01-01', to: '2025-12-31' }),
      ),
    );
    await eventually(async () =>
      (await Promise.all(reports.map(find))).some(({ state }) => state === 'running'),
    );
    await project.compose(['stop', 'worker']);
    const ended = await project.containers('worker');
    expect(ended.map(({ State }) => State)).toMatchObject(
      ended.map((): Partial<Container['State']> => ({ Status: 'exited', ExitCode: 0 })),
    );
    const meanwhile = await Promise.all(reports.map(find));
    expect(meanwhile.map(({ state }) => state)).toContain('queued');
    expect(meanwhile.map(({ state }) => state)).not.toContain('running');

    await project.compose(['up', '--wait', '--no-recreate', '--scale', `worker=${WORKERS}`]);
    const done = await Promise.all(reports.map(succeeded));
    expect(done.map(({ attempt }) => attempt)).toEqual(reports.map(() => 1));
  });

  test('Prometheus of the profile `metrics` scrapes the api, every worker and the broker', async () => {
    await project.compose(['--profile', 'metrics', 'up', '--wait', '--no-recreate', 'prometheus']);
    const prometheus = await project.address('prometheus', 9090);
    const healthy = await eventually(async () => {
      const { data } = (await (await fetch(`${prometheus}/api/v1/targets`)).json()) as {
        data: { activeTargets: { labels: { job: string }; health: string; lastError: string }[] };
      };
      const waiting = data.activeTargets.filter(({ health }) => health !== 'up');
      if (waiting.length > 0) throw new Error(JSON.stringify(waiting));
      return data.activeTargets.length >= WORKERS + 2 ? data.activeTargets : undefined;
    }, 60_000);
    expect(healthy.map(({ labels }) => labels.job).sort()).toEqual([
      'api',
      'rabbitmq',
      'worker',
      'worker',
      'worker',
    ]);
  });

  test('the api ends with 0 when it is stopped', async () => {
    await project.compose(['stop', 'api']);
    expect((await project.containers('api')).map(({ State }) => State.ExitCode)).toEqual([0]);
  });
});
