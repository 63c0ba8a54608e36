import type { ChildProcess } from 'node:child_process';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { checkRabbitmq, checkRabbitmqManagement, freePorts } from './addresses.js';
import { run, type Workplace } from './private.js';
import { findRabbitmq } from './rabbitmq-package.js';

const execute = promisify(execFile);

export interface RabbitmqAddresses {
  rabbitmqUrl: string;
  rabbitmqManagementUrl: string;
}

/**
 * Starts brokers of the machine's own RabbitMQ, each with ports and a folder of its own; several form a cluster.
 * They share a cookie, a password and Erlang's name server, and have nothing in common with any other broker here.
 *
 * @param log told when RabbitMQ has to be installed first
 * @param settings more lines of rabbitmq.conf
 * @returns the brokers, once all their addresses answer
 */
export async function startRabbitmqNodes(
  place: Workplace,
  count: number,
  log: (line: string) => void,
  settings: readonly string[] = [],
): Promise<RabbitmqNode[]> {
  const script = await findRabbitmq(place.folder, log);
  const [epmdPort, ...ports] = (await freePorts(1 + 3 * count)) as [number, ...number[]];
  // Erlang's name server, which a broker would otherwise start itself as a daemon that nobody ends.
  const epmd: [string, ...string[]] = ['epmd', '-address', '127.0.0.1', '-port', String(epmdPort)];
  const epmdOptions = { signal: 'SIGKILL', env: { PATH: process.env.PATH }, logFile: 'epmd.log' } as const;
  await run(place, epmd, epmdOptions, () => checkPort(epmdPort));

  const password = randomBytes(16).toString('hex');
  const nodes = Array.from({ length: count }, (_, index) => {
    const [amqp, management, distribution] = ports.slice(3 * index) as [number, number, number];
    const name = `warren${index + 1}`;
    const own = { amqp, management, distribution, epmd: epmdPort };
    return new RabbitmqNode(place, script, name, password, own, settings);
  });
  const [first, ...others] = nodes as [RabbitmqNode, ...RabbitmqNode[]];
  // The first one writes the cookie that the others read.
  await first.start();
  await Promise.all(others.map((node) => node.start()));
  for (const node of others) await node.join(first);
  return nodes;
}

interface Ports {
  amqp: number;
  management: number;
  distribution: number;
  epmd: number;
}

/** One broker, which can be ended and started again over the same data. */
export class RabbitmqNode {
  readonly addresses: RabbitmqAddresses;
  private readonly folder: string;
  private readonly env: NodeJS.ProcessEnv;
  private child: ChildProcess | undefined;

  /** @param name must differ from those of the other brokers at this place. */
  constructor(
    private readonly place: Workplace,
    private readonly script: string,
    private readonly name: string,
    private readonly password: string,
    private readonly ports: Ports,
    private readonly settings: readonly string[],
  ) {
    const credentials = `warren:${password}`;
    this.folder = join(place.folder, name);
    this.env = this.environment();
    this.addresses = {
      rabbitmqUrl: `amqp://${credentials}@127.0.0.1:${ports.amqp}/%2F`,
      rabbitmqManagementUrl: `http://${credentials}@127.0.0.1:${ports.management}`,
    };
  }

  /** As Erlang and `rabbitmqctl` name it. */
  get nodeName(): string {
    return `${this.name}@localhost`;
  }

  get isRunning(): boolean {
    return this.child !== undefined && this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Starts the broker; resolves once it answers. */
  async start(): Promise<void> {
    await mkdir(join(this.folder, 'conf.d'), { recursive: true });
    await writeFile(join(this.folder, 'rabbitmq.conf'), this.configuration());
    await writeFile(join(this.folder, 'enabled_plugins'), '[rabbitmq_management].\n');
    // Killed at the end, not stopped: what it holds is thrown away, and an orderly stop takes seconds.
    const options = { signal: 'SIGKILL', env: this.env, logFile: `${this.name}.log` } as const;
    this.child = await run(this.place, [this.script], options, async () => {
      await checkRabbitmqManagement(this.addresses.rabbitmqManagementUrl);
      await checkRabbitmq(this.addresses.rabbitmqUrl);
    });
  }

  /** Ends the broker and waits until it is gone; its data stay. */
  async stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.child;
    if (!child || !this.isRunning) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  }

  /** Runs `rabbitmqctl` on this broker. @returns what it printed. @throws Error with what it said. */
  async ctl(...args: string[]): Promise<string> {
    const { stdout } = await execute(
      join(dirname(this.script), 'rabbitmqctl'),
      ['-q', '-n', this.nodeName, ...args],
      { env: this.env },
    );
    return stdout;
  }

  /** Makes this broker, which has no data yet, one of the other's cluster. */
  async join(other: RabbitmqNode): Promise<void> {
    await this.ctl('stop_app');
    await this.ctl('reset');
    await this.ctl('join_cluster', other.nodeName);
    await this.ctl('start_app');
  }

  /** Removes the data of the broker, which must not run: as if its disk had been replaced. */
  async wipe(): Promise<void> {
    await rm(join(this.folder, 'mnesia'), { recursive: true, force: true });
  }

  private configuration(): string {
    return [
      `listeners.tcp.local = 127.0.0.1:${this.ports.amqp}`,
      'management.tcp.ip = 127.0.0.1',
      `management.tcp.port = ${this.ports.management}`,
      // Queue counts stay, the sampling of rates goes.
      'management.rates_mode = none',
      'default_user = warren',
      `default_pass = ${this.password}`,
      'log.file.level = warning',
      'vm_memory_high_watermark.absolute = 1GB',
      // By RabbitMQ's guide to quorum queues a node takes three times this; the default of 512 MB would be over the limit.
      'raft.wal_max_size_bytes = 64000000',
      'disk_free_limit.absolute = 50MB',
      ...this.settings,
      '',
    ].join('\n');
  }

  /** Names every place a broker reads or writes, so that none of the machine's own settings reach this one. */
  private environment(): NodeJS.ProcessEnv {
    const inFolder = (name: string) => join(this.folder, name);
    return {
      PATH: process.env.PATH,
      LANG: 'C.UTF-8',
      HOME: this.place.folder,
      ERL_EPMD_PORT: String(this.ports.epmd),
      ERL_CRASH_DUMP: inFolder('erl_crash.dump'),
      RABBITMQ_NODENAME: this.nodeName,
      RABBITMQ_DIST_PORT: String(this.ports.distribution),
      RABBITMQ_CONF_ENV_FILE: inFolder('rabbitmq-env.conf'),
      RABBITMQ_CONFIG_FILE: inFolder('rabbitmq.conf'),
      RABBITMQ_CONFIG_FILES: inFolder('conf.d'),
      RABBITMQ_ADVANCED_CONFIG_FILE: inFolder('advanced.config'),
      RABBITMQ_ENABLED_PLUGINS_FILE: inFolder('enabled_plugins'),
      RABBITMQ_MNESIA_BASE: inFolder('mnesia'),
      RABBITMQ_LOG_BASE: inFolder('log'),
      RABBITMQ_PID_FILE: inFolder('broker.pid'),
      // Makes the script become the broker. As its parent it would die with it and leave nobody to reap it.
      RUNNING_UNDER_SYSTEMD: 'true',
      // Loopback only, and no processor time spent on waiting for work.
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS:
        '-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none',
    };
  }
}

async function checkPort(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
  } finally {
    socket.destroy();
  }
}
