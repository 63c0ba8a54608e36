import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Installs a package without starting the service that comes with it: policy-rc.d forbids that, and goes again
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
apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=600 "$2" >>"$1" 2>&1
`;

/** Whether this process may install packages. */
export function canInstall(): boolean {
  return process.getuid?.() === 0 && existsSync('/usr/bin/apt-get');
}

/**
 * Installs a package. Runs on to its end even if this process dies: a package manager stopped halfway leaves a broken
 * machine.
 * @param folder takes the log of the installation
 * @returns the last lines of what apt-get said
 */
export async function installPackage(name: string, folder: string): Promise<string> {
  const logFile = join(folder, `apt-${name}.log`);
  closeSync(openSync(logFile, 'w'));
  const child = spawn('sh', ['-c', INSTALL, 'sh', logFile, name], {
    cwd: '/',
    detached: true,
    stdio: 'ignore',
  });
  await once(child, 'exit');
  return (await readFile(logFile, 'utf8')).split('\n').slice(-15).join('\n');
}
