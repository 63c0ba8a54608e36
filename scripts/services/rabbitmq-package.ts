import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { canInstall, installPackage } from './debian-package.js';

const PACKAGES = '/usr/lib/rabbitmq/lib';

/**
 * Finds the machine's RabbitMQ, installing it first where that is possible.
 * @param folder takes the log of the installation
 * @param log told when an installation begins
 * @returns the path of the script that runs a broker as the user who calls it
 * @throws Error that says what to install or set, when there is no RabbitMQ and none can be installed
 */
export async function findRabbitmq(folder: string, log: (line: string) => void): Promise<string> {
  const installed = await installedRabbitmq();
  if (installed) return installed;

  if (!canInstall()) throw new Error(howToHaveRabbitmq());
  log('RabbitMQ is not installed: apt-get install rabbitmq-server, about a minute');
  const output = await installPackage('rabbitmq-server', folder);
  const found = await installedRabbitmq();
  if (!found) throw new Error(`${howToHaveRabbitmq()}\napt-get said:\n${output}`);
  return found;
}

/** Returns whether this machine has RabbitMQ, or {@link findRabbitmq} could install it. */
export async function canHaveRabbitmq(): Promise<boolean> {
  return canInstall() || (await installedRabbitmq()) !== undefined;
}

async function installedRabbitmq(): Promise<string | undefined> {
  const versions = await readdir(PACKAGES).catch(() => []);
  return versions
    .filter((name) => name.startsWith('rabbitmq_server-'))
    .map((name) => join(PACKAGES, name, 'sbin', 'rabbitmq-server'))
    .find((script) => existsSync(script));
}

function howToHaveRabbitmq(): string {
  return [
    'There is no RabbitMQ to work with. Do one of these:',
    '  - start Docker, with its Compose plugin (docker compose version)',
    '  - sudo apt-get update && sudo apt-get install -y --no-install-recommends rabbitmq-server',
    '  - export RABBITMQ_URL=amqp://user:password@host:5672/%2F, the address of a broker that runs',
  ].join('\n');
}
