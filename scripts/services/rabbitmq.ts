import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { checkRabbitmq, checkRabbitmqManagement, freePorts } from './addresses.js';
import { type PrivateServer, run, startPrivate } from './private.js';
import { findRabbitmq } from './rabbitmq-package.js';

export interface RabbitmqAddresses {
  rabbitmqUrl: string;
  rabbitmqManagementUrl: string;
}

/**
 * Starts a broker of the machine's own RabbitMQ, under a name, a cookie, a password and ports of its own.
 * @param log told when RabbitMQ has to be installed first
 * @returns its addresses, once both of them answer
 * @throws Error when RabbitMQ cannot be had or does not start; the message says what to do or what it printed
 */
export function startPrivateRabbitmq(log: (line: string) => void): Promise<PrivateServer<RabbitmqAddresses>> {
  return startPrivate(async (place) => {
    const { folder } = place;
    const script = await findRabbitmq(folder, log);
    const [amqpPort, managementPort, distributionPort, epmdPort] = (await freePorts(4)) as Ports;
    const password = randomBytes(16).toString('hex');
    const credentials = `warren:${password}`;
    const addresses = {
      rabbitmqUrl: `amqp://${credentials}@127.0.0.1:${amqpPort}/%2F`,
      rabbitmqManagementUrl: `http://${credentials}@127.0.0.1:${managementPort}`,
    };
    await mkdir(join(folder, 'conf.d'));
    await writeFile(join(folder, 'rabbitmq.conf'), configuration(amqpPort, managementPort, password));
    await writeFile(join(folder, 'enabled_plugins'), '[rabbitmq_management].\n');

    const env = environment(folder, distributionPort, epmdPort);
    // Erlang's name server, which the broker would otherwise start itself as a daemon that nobody ends.
    const epmd: [string, ...string[]] = ['epmd', '-address', '127.0.0.1', '-port', String(epmdPort)];
    await run(place, epmd, { signal: 'SIGKILL', env, logFile: 'epmd.log' }, () => checkPort(epmdPort));
    // Killed, not stopped: what it holds is thrown away, and an orderly stop takes seconds.
    await run(place, [script], { signal: 'SIGKILL', env, logFile: 'broker.log' }, async () => {
      await checkRabbitmqManagement(addresses.rabbitmqManagementUrl);
      await checkRabbitmq(addresses.rabbitmqUrl);
    });
    return addresses;
  });
}

type Ports = [amqp: number, management: number, distribution: number, epmd: number];

function configuration(amqpPort: number, managementPort: number, password: string): string {
  return [
    `listeners.tcp.local = 127.0.0.1:${amqpPort}`,
    'management.tcp.ip = 127.0.0.1',
    `management.tcp.port = ${managementPort}`,
    // Queue counts stay, the sampling of rates goes.
    'management.rates_mode = none',
    'default_user = warren',
    `default_pass = ${password}`,
    'log.file.level = warning',
    'vm_memory_high_watermark.absolute = 1GB',
    'disk_free_limit.absolute = 50MB',
    '',
  ].join('\n');
}

/** Names every place a broker reads or writes, so that none of the machine's own settings reach this one. */
function environment(folder: string, distributionPort: number, epmdPort: number): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH,
    LANG: 'C.UTF-8',
    HOME: folder,
    ERL_EPMD_PORT: String(epmdPort),
    ERL_CRASH_DUMP: join(folder, 'erl_crash.dump'),
    RABBITMQ_NODENAME: 'warren@localhost',
    RABBITMQ_DIST_PORT: String(distributionPort),
    RABBITMQ_CONF_ENV_FILE: join(folder, 'rabbitmq-env.conf'),
    RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq.conf'),
    RABBITMQ_CONFIG_FILES: join(folder, 'conf.d'),
    RABBITMQ_ADVANCED_CONFIG_FILE: join(folder, 'advanced.config'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'enabled_plugins'),
    RABBITMQ_MNESIA_BASE: join(folder, 'mnesia'),
    RABBITMQ_LOG_BASE: join(folder, 'log'),
    RABBITMQ_PID_FILE: join(folder, 'broker.pid'),
    // Makes the script become the broker. As its parent it would die with it and leave nobody to reap it.
    RUNNING_UNDER_SYSTEMD: 'true',
    // Loopback only, and no processor time spent on waiting for work.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS:
      '-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none',
  };
}

async function checkPort(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
  } finally {
    socket.destroy();
  }
}
