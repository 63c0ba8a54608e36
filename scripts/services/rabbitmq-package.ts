import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

const PACKAGES = '/usr/lib/rabbitmq/lib';

/**
 * Installs the package without starting the broker that comes with it: policy-rc.d forbids that, and goes again
 * afterwards unless it was there before. Another apt that holds the locks is waited for.
 */
const INSTALL = `
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
if (set -C; printf '#!/bin/sh\\nexit 101\\n' >"$policy") 2>/dev/null; then
  trap 'rm -f "$policy"' EXIT
  chmod 755 "$policy"
fi
waited=0
while ! apt-get update >"$1" 2>&1 && grep -q 'Could not get lock' "$1" && [ "$waited" -lt 600 ]; do
  sleep 1
  waited=$((waited + 1))
done
apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=600 rabbitmq-server >>"$1" 2>&1
`;

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
  const output = await install(folder);
  const found = await installedRabbitmq();
  if (!found) throw new Error(`${howToHaveRabbitmq()}\napt-get said:\n${output}`);
  return found;
}

/** Returns whether this machine has RabbitMQ, or {@link findRabbitmq} could install it. */
export async function canHaveRabbitmq(): Promise<boolean> {
  return canInstall() || (await installedRabbitmq()) !== undefined;
}

function canInstall(): boolean {
  return process.getuid?.() === 0 && existsSync('/usr/bin/apt-get');
}

async function installedRabbitmq(): Promise<string | undefined> {
  const versions = await readdir(PACKAGES).catch(() => []);
  return versions
    .filter((name) => name.startsWith('rabbitmq_server-'))
    .map((name) => join(PACKAGES, name, 'sbin', 'rabbitmq-server'))
    .find((script) => existsSync(script));
}

/** Runs on to its end even if this process dies: a package manager stopped halfway leaves a broken machine. */
async function install(folder: string): Promise<string> {
  const logFile = join(folder, 'apt.log');
  closeSync(openSync(logFile, 'w'));
  const child = spawn('sh', ['-c', INSTALL, 'sh', logFile], { cwd: '/', detached: true, stdio: 'ignore' });
  await once(child, 'exit');
  return (await readFile(logFile, 'utf8')).split('\n').slice(-15).join('\n');
}

function howToHaveRabbitmq(): string {
  return [
    'There is no RabbitMQ to work with. Do one of these:',
    '  - start Docker, with its Compose plugin (docker compose version)',
    '  - sudo apt-get update && sudo apt-get install -y --no-install-recommends rabbitmq-server',
    '  - export RABBITMQ_URL=amqp://user:password@host:5672/%2F, the address of a broker that runs',
  ].join('\n');
}
