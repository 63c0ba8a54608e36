import { once } from 'node:events';
import { realpathSync } from 'node:fs';
import { checkPostgres, checkRabbitmq, checkRabbitmqManagement } from './services/addresses.js';
import { composeRuns, startCompose } from './services/compose.js';
import { type PostgresAddresses, startPrivatePostgres } from './services/postgres.js';
import { type RabbitmqAddresses, startPrivateRabbitmq } from './services/rabbitmq.js';
import { announce, shareRunning } from './services/running.js';

export type Origin = 'environment' | 'compose' | 'private';

export interface Services extends RabbitmqAddresses, PostgresAddresses {
  origin: { rabbitmq: Origin; postgres: Origin };
  /** Ends what this call started and nothing else. May be called again, and while it runs. */
  stop(): Promise<void>;
}

export interface ServicesOptions {
  /** Told, in single lines, what is used and what takes long. */
  log?: (line: string) => void;
  /** Start everything afresh, whatever the environment names. */
  ownOnly?: boolean;
  /** Use what another command of this clone has started, where the environment names nothing. */
  mayShare?: boolean;
  /** The command, such as `npm start`, when others of this clone are to find what it starts. */
  shareAs?: string;
}

interface Source<Addresses> {
  origin: Origin;
  addresses: Addresses;
  stop(): Promise<void>;
}

/**
 * Gives development and tests a broker and a database, each from the first of these that there is: the address in
 * RABBITMQ_URL (and RABBITMQ_MANAGEMENT_URL) or DATABASE_URL; Docker Compose; a server of its own in a temporary
 * folder. What is started ends with this process at the latest, even if that is killed.
 * @returns the addresses, once all of them answer
 * @throws Error when an address in the environment does not answer, or when a service cannot be had; the message
 *   says what to set or install. Nothing that was started is left then.
 */
export async function startServices({
  log = () => undefined,
  ownOnly = false,
  mayShare = false,
  shareAs,
}: ServicesOptions = {}): Promise<Services> {
  if (mayShare) await shareRunning(log);
  const given = ownOnly ? {} : await fromEnvironment(log);
  const composed = await fromCompose(given, log);
  const { rabbitmq, postgres } = await bothOrNeither(
    given.rabbitmq ?? composed.rabbitmq ?? privately(startPrivateRabbitmq(log)),
    given.postgres ?? composed.postgres ?? privately(startPrivatePostgres()),
  );
  log(`RabbitMQ: ${rabbitmq.origin}, PostgreSQL: ${postgres.origin}`);
  const services = {
    ...rabbitmq.addresses,
    ...postgres.addresses,
    origin: { rabbitmq: rabbitmq.origin, postgres: postgres.origin },
  };
  const conceal = shareAs && isOurs(services) ? announce(shareAs, services) : () => undefined;
  return {
    ...services,
    stop: async () => {
      conceal();
      await Promise.all([rabbitmq.stop(), postgres.stop()]);
    },
  };
}

/** Whether this process has started any of them, so that they are empty and end with it. */
export const isOurs = ({ origin }: Pick<Services, 'origin'>): boolean =>
  Object.values(origin).some((one) => one !== 'environment');

interface Found {
  rabbitmq?: Source<RabbitmqAddresses>;
  postgres?: Source<PostgresAddresses>;
}

async function fromEnvironment(log: (line: string) => void): Promise<Found> {
  const { RABBITMQ_URL, RABBITMQ_MANAGEMENT_URL, DATABASE_URL } = process.env;
  const found: Found = {};
  if (RABBITMQ_URL) {
    await inEnvironment('RABBITMQ_URL', RABBITMQ_URL, checkRabbitmq);
    const management = RABBITMQ_MANAGEMENT_URL || managementUrlBeside(RABBITMQ_URL);
    const answer = inEnvironment('RABBITMQ_MANAGEMENT_URL', management, checkRabbitmqManagement);
    // Only tests need the management API, so a broker without one will do unless one was promised.
    await (RABBITMQ_MANAGEMENT_URL ? answer : answer.catch((error: Error) => log(error.message)));
    found.rabbitmq = notOurs({ rabbitmqUrl: RABBITMQ_URL, rabbitmqManagementUrl: management });
  }
  if (DATABASE_URL) {
    await inEnvironment('DATABASE_URL', DATABASE_URL, checkPostgres);
    found.postgres = notOurs({ databaseUrl: DATABASE_URL });
  }
  return found;
}

/** Turns a failed check into an error that names the variable, and the address without its password. */
async function inEnvironment(
  name: string,
  url: string,
  check: (url: string) => Promise<void>,
): Promise<void> {
  try {
    await check(url);
  } catch (error) {
    const host = URL.canParse(url) ? new URL(url).host : 'no valid URL';
    const { code, message } = error as Error & { code?: string };
    throw new Error(
      `${name} (${host}) does not answer: ${message || code}. Start what it names, correct it or unset it.`,
      { cause: error },
    );
  }
}

function managementUrlBeside(rabbitmqUrl: string): string {
  const { username, password, hostname } = new URL(rabbitmqUrl);
  return `http://${username || 'guest'}:${password || 'guest'}@${hostname}:15672`;
}

function notOurs<Addresses>(addresses: Addresses): Source<Addresses> {
  return { origin: 'environment', addresses, stop: async () => undefined };
}

async function fromCompose(given: Found, log: (line: string) => void): Promise<Found> {
  const names = (['rabbitmq', 'postgres'] as const).filter((name) => !given[name]);
  if (names.length === 0 || !(await composeRuns())) return {};
  try {
    const { addresses, stop } = await startCompose(names);
    const source = { origin: 'compose', addresses, stop } as const;
    const found: Found = {};
    if (!given.rabbitmq) found.rabbitmq = source as Source<RabbitmqAddresses>;
    if (!given.postgres) found.postgres = source as Source<PostgresAddresses>;
    return found;
  } catch (error) {
    const lastLine = (error as Error).message.trimEnd().split('\n').at(-1);
    log(`Docker Compose does not bring up ${names.join(' and ')}, so private ones are started: ${lastLine}`);
    return {};
  }
}

async function privately<Addresses>(
  start: Promise<{ addresses: Addresses; stop(): Promise<void> }>,
): Promise<Source<Addresses>> {
  return { origin: 'private', ...(await start) };
}

/** Waits for both to start or fail; when one fails the other is stopped. */
async function bothOrNeither(
  rabbitmq: Source<RabbitmqAddresses> | Promise<Source<RabbitmqAddresses>>,
  postgres: Source<PostgresAddresses> | Promise<Source<PostgresAddresses>>,
): Promise<Required<Found>> {
  const settled = await Promise.allSettled([rabbitmq, postgres]);
  const [first, second] = settled;
  if (first.status === 'fulfilled' && second.status === 'fulfilled') {
    return { rabbitmq: first.value, postgres: second.value };
  }
  await Promise.all(settled.map((one) => (one.status === 'fulfilled' ? one.value.stop() : undefined)));
  const reasons = settled.flatMap((one) => (one.status === 'rejected' ? [one.reason as Error] : []));
  throw new Error(reasons.map((reason) => reason.message).join('\n'), { cause: reasons[0] });
}

/** Prints the addresses for a shell to take over, and keeps the services until a signal comes. */
async function main(): Promise<void> {
  const services = await startServices({
    log: (line) => console.error(line),
    shareAs: 'npm run services',
  });
  const signal = Promise.race(['SIGINT', 'SIGTERM', 'SIGHUP'].map((name) => once(process, name)));
  console.log(`export RABBITMQ_URL='${services.rabbitmqUrl}'`);
  console.log(`export RABBITMQ_MANAGEMENT_URL='${services.rabbitmqManagementUrl}'`);
  console.log(`export DATABASE_URL='${services.databaseUrl}'`);
  // A process with nothing else to do, such as one whose services all come from the environment, would end.
  const staying = setInterval(() => undefined, 2 ** 31 - 1);
  await signal;
  clearInterval(staying);
  await services.stop();
}

if (process.argv[1] && realpathSync(process.argv[1]) === import.meta.filename) {
  main().catch((error: Error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
