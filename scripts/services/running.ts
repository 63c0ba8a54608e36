import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { PostgresAddresses } from './postgres.js';
import type { RabbitmqAddresses } from './rabbitmq.js';

/**
 * What one command has started, the others find: each notes its services in the folder that it runs in, where `.env`
 * is looked for, too. Only the npm commands of a clone read that; the apps themselves do not.
 */
const FOLDER = '.services';
const TIMEOUT_MS = 2_000;

/** Services that a command has started, and which one that is. */
export interface Running extends RabbitmqAddresses, PostgresAddresses {
  command: string;
  pid: number;
  startedAt: string;
}

/** Notes services, for nobody but the owner of the clone to read. @returns what takes the note away. */
export function announce(command: string, addresses: RabbitmqAddresses & PostgresAddresses): () => void {
  const { pid } = process;
  const { rabbitmqUrl, rabbitmqManagementUrl, databaseUrl } = addresses;
  const startedAt = new Date().toISOString();
  const running: Running = { command, pid, startedAt, rabbitmqUrl, rabbitmqManagementUrl, databaseUrl };
  mkdirSync(FOLDER, { recursive: true });
  const file = join(FOLDER, `${pid}.json`);
  // One that another process of this number has left might be readable for others.
  rmSync(file, { force: true });
  writeFileSync(file, JSON.stringify(running), { mode: 0o600 });
  return () => rmSync(file, { force: true });
}

/**
 * Finds the services that another command of this clone has started, the newest if several have.
 *
 * @param given the addresses that are chosen already: services with others do not fit.
 * @param log told, in single lines, what is noted and not there any more.
 */
async function findRunning(
  given: { RABBITMQ_URL?: string; DATABASE_URL?: string },
  log: (line: string) => void,
): Promise<Running | undefined> {
  const noted = readNotes().sort((a, b) => b.startedAt.localeCompare(a.startedAt));
  for (const running of noted) {
    const { command, pid, rabbitmqUrl, databaseUrl } = running;
    if (!isAlive(pid)) {
      rmSync(join(FOLDER, `${pid}.json`), { force: true });
      log(`${command} (process ${pid}) was killed, and its services went with it`);
      continue;
    }
    if ((given.RABBITMQ_URL || rabbitmqUrl) !== rabbitmqUrl) continue;
    if ((given.DATABASE_URL || databaseUrl) !== databaseUrl) continue;
    if (await bothListen(rabbitmqUrl, databaseUrl)) return running;
    log(`The services of ${command} (process ${pid}) do not answer, so they are not used`);
  }
  return undefined;
}

/**
 * Puts the addresses of running services into the environment of this process, unless it names both already.
 *
 * @param log told, in single lines, whose they are.
 */
export async function shareRunning(log: (line: string) => void): Promise<void> {
  const { env } = process;
  if (env.RABBITMQ_URL && env.DATABASE_URL) return;
  const running = await findRunning(env, log);
  if (!running) return;
  env.RABBITMQ_URL = running.rabbitmqUrl;
  env.RABBITMQ_MANAGEMENT_URL ||= running.rabbitmqManagementUrl;
  env.DATABASE_URL = running.databaseUrl;
  log(`With the services of ${running.command} (process ${running.pid})`);
}

function readNotes(): Running[] {
  try {
    return readdirSync(FOLDER)
      .filter((name) => /^\d+\.json$/.test(name))
      .map((name) => JSON.parse(readFileSync(join(FOLDER, name), 'utf8')) as Running);
  } catch {
    // No command has run here; or one that ends at this moment took its note away.
    return [];
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // Somebody else's process, then.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function bothListen(...urls: string[]): Promise<boolean> {
  const sockets = urls.map((url) => connect(Number(new URL(url).port), new URL(url).hostname));
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    await Promise.all(sockets.map((socket) => once(socket, 'connect', { signal })));
    return true;
  } catch {
    return false;
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}
