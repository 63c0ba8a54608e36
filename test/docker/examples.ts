import { expect, test } from '@jest/globals';
import sharp from 'sharp';
import { eventually } from '#testing';
import type { Container, Project } from './project.js';

/** More than the workers run at once, so that some run and some wait when they are told to stop. */
const REPORTS = 8;
const JOB_LIMIT_MS = 120_000;

interface Job {
  id: string;
  state: string;
  attempt: number;
  result: unknown;
  error: unknown;
}

/** What runs, once the tests do. */
interface Stack {
  project: Project;
  api: string;
  workers: number;
}

/** The jobs that ship, in the images. They go with the first of these jobs. */
export function testExamples(stack: () => Stack): void {
  async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(`${stack().api}${path}`, {
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
  const inWorker = (...command: string[]) => stack().project.compose(['exec', '-T', 'worker', ...command]);

  test('email.send: the mail catcher has the mail', async () => {
    await succeeded(await enqueue('email.send', { to: 'ada@example.com', subject: 'Hello', text: 'Hi' }));
    const mailbox = await stack().project.address('mail', 8025);
    const { total } = (await (await fetch(`${mailbox}/api/v1/messages`)).json()) as { total: number };
    expect(total).toBe(1);
  });

  test('image.resize: sharp works in the image, and the volume takes the files', async () => {
    const picture = await sharp({ create: { width: 400, height: 200, channels: 3, background: '#c33' } })
      .png()
      .toBuffer();
    await stack().project.compose(['exec', '-T', 'worker', 'sh', '-c', 'cat > var/files/red.png'], picture);
    const { result } = await succeeded(
      await enqueue('image.resize', { source: 'red.png', widths: [100], format: 'webp' }),
    );
    const { files } = result as { files: { path: string; width: number; height: number }[] };
    expect(files).toMatchObject([{ width: 100, height: 50 }]);
    await inWorker('test', '-s', `var/files/${files[0]!.path}`);
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
    await stack().project.compose(['stop', 'worker']);
    const ended = await stack().project.containers('worker');
    expect(ended.map(({ State }) => State)).toMatchObject(
      ended.map((): Partial<Container['State']> => ({ Status: 'exited', ExitCode: 0 })),
    );
    const meanwhile = await Promise.all(reports.map(find));
    expect(meanwhile.map(({ state }) => state)).toContain('queued');
    expect(meanwhile.map(({ state }) => state)).not.toContain('running');

    await stack().project.compose(['up', '--wait', '--no-recreate', '--scale', `worker=${stack().workers}`]);
    const done = await Promise.all(reports.map(succeeded));
    expect(done.map(({ attempt }) => attempt)).toEqual(reports.map(() => 1));
  });
}
