import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { checkPostgres, checkRabbitmq, checkRabbitmqManagement } from './addresses.js';
import { shellWord } from './guard.js';
import type { PostgresAddresses } from './postgres.js';
import { openWorkplace, type PrivateServer, run } from './private.js';
import type { RabbitmqAddresses } from './rabbitmq.js';

const execute = promisify(execFile);

/** How long a command that only asks something may take: an engine that hangs counts as none. */
const ANSWER_LIMIT_MS = 10_000;
/** Docker chooses one that is free. */
const ANY_PORT = '0';

/** Returns whether a Docker engine runs here and the docker command has its Compose plugin. */
export async function composeRuns(): Promise<boolean> {
  try {
    await execute('docker', ['compose', 'version'], { timeout: ANSWER_LIMIT_MS });
    await execute('docker', ['version', '--format', '{{.Server.Version}}'], { timeout: ANSWER_LIMIT_MS });
    return true;
  } catch {
    return false;
  }
}

/**
 * Starts services of compose.yaml as a project of their own, with a new password and on ports that are free, so that
 * they meet neither what `docker compose up` starts nor each other; waits until they answer.
 * @param names which of the services to start
 * @returns the addresses of those that were asked for; stop() removes containers, network and volumes
 * @throws Error with what Docker printed when the containers do not start, once they are gone again
 */
export async function startCompose(
  names: ('rabbitmq' | 'postgres')[],
): Promise<PrivateServer<Partial<RabbitmqAddresses & PostgresAddresses>>> {
  const project = `warren-${process.pid}-${randomBytes(4).toString('hex')}`;
  const password = randomBytes(16).toString('hex');
  const compose = ['compose', '--project-name', project, '--file', composeFile()];
  const down = ['docker', ...compose, 'down', '--volumes', '--timeout', '0'].map(shellWord).join(' ');
  const place = await openWorkplace(down);

  const publishedAt = async (name: string, port: number): Promise<string> => {
    const { stdout } = await execute('docker', [...compose, 'port', name, String(port)]);
    return stdout.trim();
  };
  const rabbitmqAddresses = async (): Promise<RabbitmqAddresses> => {
    const rabbitmqUrl = `amqp://warren:${password}@${await publishedAt('rabbitmq', 5672)}/%2F`;
    const rabbitmqManagementUrl = `http://warren:${password}@${await publishedAt('rabbitmq', 15672)}`;
    await checkRabbitmq(rabbitmqUrl);
    await checkRabbitmqManagement(rabbitmqManagementUrl);
    return { rabbitmqUrl, rabbitmqManagementUrl };
  };
  const postgresAddresses = async (): Promise<PostgresAddresses> => {
    const databaseUrl = `postgresql://warren:${password}@${await publishedAt('postgres', 5432)}/warren`;
    await checkPostgres(databaseUrl);
    return { databaseUrl };
  };

  try {
    await run(place, ['docker', ...compose, 'up', '--detach', '--wait', ...names], {
      signal: 'SIGTERM',
      logFile: 'compose.log',
      env: {
        ...process.env,
        RABBITMQ_PASSWORD: password,
        POSTGRES_PASSWORD: password,
        RABBITMQ_PORT: ANY_PORT,
        RABBITMQ_MANAGEMENT_PORT: ANY_PORT,
        POSTGRES_PORT: ANY_PORT,
      },
    });
    const addresses = {
      ...(names.includes('rabbitmq') && (await rabbitmqAddresses())),
      ...(names.includes('postgres') && (await postgresAddresses())),
    };
    return { addresses, stop: () => place.guard.end() };
  } catch (error) {
    await place.guard.end();
    throw error;
  }
}

/** The file lies at the same place above this one whether this is the source or what was compiled into dist. */
function composeFile(): string {
  for (let folder = import.meta.dirname; folder !== dirname(folder); folder = dirname(folder)) {
    const file = join(folder, 'compose.yaml');
    if (existsSync(file)) return file;
  }
  throw new Error('compose.yaml is missing');
}
