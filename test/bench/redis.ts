import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '#testing';
import { freePort } from '#testing/services';

/** A Redis that runs for the bench. */
export interface Redis {
  url: string;
  stop(): Promise<void>;
}

/**
 * Starts the machine's Redis on a free port in a folder of its own, with its append-only file.
 *
 * @param fsync when the file is synced to disk. `everysec` is how one would run it for jobs; even so the last second can
 *   be lost, which a quorum queue and PostgreSQL do not do. `always` is before each answer, the nearest in durability.
 * @returns undefined when the machine has none.
 */
export async function startRedis(fsync: 'everysec' | 'always'): Promise<Redis | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'warren-redis-'));
  const port = await freePort();
  const options = [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--dir',
    folder,
    '--appendonly',
    'yes',
    '--appendfsync',
    fsync,
    '--save',
    '',
  ];
  const child = spawn('redis-server', options, { stdio: 'ignore' });
  const isMissing = await new Promise<boolean>((resolve) => {
    child.once('spawn', () => resolve(false));
    child.once('error', () => resolve(true));
  });
  const stop = async () => {
    child.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  };
  if (isMissing) {
    await stop();
    return undefined;
  }
  process.once('exit', () => child.kill('SIGKILL'));
  await eventually(
    () =>
      new Promise<boolean>((resolve) => {
        const socket = connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false));
        socket.once('connect', () => socket.end());
      }),
  );
  return { url: `redis://127.0.0.1:${port}`, stop };
}
