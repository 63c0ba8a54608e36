import { createHash, randomBytes } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { type BrokerRole, leastPermissions } from '#rabbitmq';

/**
 * `npm run --silent broker:users`: prints the broker users of the api, the worker and the migration as definitions
 * for RabbitMQ, with no more permissions than each needs. docs/security.md says how a broker loads them.
 */

/** Where the address stands that a process will get as its RABBITMQ_URL. */
const VARIABLES: Readonly<Record<BrokerRole, string>> = {
  api: 'API_RABBITMQ_URL',
  worker: 'WORKER_RABBITMQ_URL',
  migration: 'MIGRATION_RABBITMQ_URL',
};

/** What RabbitMQ imports, as far as it is used here. */
export interface BrokerDefinitions {
  users: { name: string; password_hash: string; hashing_algorithm: string; tags: string }[];
  vhosts: { name: string }[];
  permissions: { user: string; vhost: string; configure: string; write: string; read: string }[];
}

/**
 * Makes the definitions from addresses, each with the user, the password and the vhost of one process. The passwords
 * themselves do not stand in them.
 *
 * @throws Error when an address names no user or no password.
 */
export function brokerDefinitions(addresses: Readonly<Record<BrokerRole, string>>): BrokerDefinitions {
  const roles = Object.keys(leastPermissions) as BrokerRole[];
  const users = roles.map((role) => {
    const { username, password, pathname } = new URL(addresses[role].split(',')[0] as string);
    if (!username || !password) throw new Error(`The address for the ${role} names no user or no password`);
    const [name, secret, vhost] = [username, password, pathname.slice(1)].map(decodeURIComponent);
    return { role, name: name as string, secret: secret as string, vhost: vhost || '/' };
  });
  return {
    users: users.map(({ name, secret }) => ({
      name,
      password_hash: passwordHash(secret),
      hashing_algorithm: 'rabbit_password_hashing_sha256',
      // No tag: none of them may use the management API.
      tags: '',
    })),
    vhosts: [...new Set(users.map(({ vhost }) => vhost))].map((name) => ({ name })),
    permissions: users.map(({ role, name, vhost }) => ({ user: name, vhost, ...leastPermissions[role] })),
  };
}

/** As RabbitMQ keeps passwords: four bytes of salt, and the SHA-256 of these and the password. */
function passwordHash(password: string): string {
  const salt = randomBytes(4);
  return Buffer.concat([salt, createHash('sha256').update(salt).update(password).digest()]).toString(
    'base64',
  );
}

if (process.argv[1] && realpathSync(process.argv[1]) === import.meta.filename) {
  const missing = Object.values(VARIABLES).filter((name) => !process.env[name]);
  if (missing.length > 0) {
    console.error(
      `Set ${missing.join(', ')}: the address that this process will get as its RABBITMQ_URL, such as amqp://warren-api:PASSWORD@broker:5672/warren`,
    );
    process.exitCode = 1;
  } else {
    const addresses = Object.entries(VARIABLES).map(([role, name]) => [role, process.env[name]]);
    console.log(JSON.stringify(brokerDefinitions(Object.fromEntries(addresses)), undefined, 2));
  }
}
