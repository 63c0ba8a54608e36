import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually } from '#testing';
import { composeRuns } from '../../scripts/services/compose.js';
import { testExamples } from './examples.js';
import { givenProject, type Project } from './project.js';

const WORKERS = 3;
/** A first build downloads every package. */
const UP_LIMIT_MS = 1_200_000;

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

  testExamples(() => ({ project, api, workers: WORKERS }));

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
