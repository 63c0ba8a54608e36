import { execFile } from 'node:child_process';
import { chown, copyFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { eventually } from '#testing';
import { type AppProcess, builtApps, givenProcess } from '#testing/services';
import { freePorts } from '../../../scripts/services/addresses.js';
import { startPostgres } from '../../../scripts/services/postgres.js';
import { openWorkplace, type Workplace } from '../../../scripts/services/private.js';
import { type RabbitmqNode, startRabbitmqNodes } from '../../../scripts/services/rabbitmq-node.js';
import { canHaveRabbitmq } from '../../../scripts/services/rabbitmq-package.js';
import { Authority, type Certificate } from '../../support/certificates.js';

/**
 * TLS to a broker and a database of the test's own, whose certificates are for `localhost`, by an authority that
 * nobody knows but who is told of it.
 */
let places: Workplace[] = [];
let authority: Authority;
let broker: RabbitmqNode;
let client: pg.Client;
let urls: { rabbitmqUrl: string; databaseUrl: string };
const processes: AppProcess[] = [];

// Docker's broker gets no certificate.
const available = await canHaveRabbitmq();
if (!available) console.warn('TLS is not tested: install rabbitmq-server on this machine to have it tested');

beforeAll(async () => {
  if (!available) return;
  places = await Promise.all([openWorkplace(), openWorkplace()]);
  const [brokersPlace, databasesPlace] = places as [Workplace, Workplace];
  authority = await Authority.found(brokersPlace.folder);
  const own = await authority.certify('localhost');
  const [port] = await freePorts(1);
  const [nodes, database] = await Promise.all([
    startRabbitmqNodes(brokersPlace, 1, console.warn, [
      `listeners.ssl.local = 127.0.0.1:${port}`,
      `ssl_options.cacertfile = ${authority.certificate}`,
      `ssl_options.certfile = ${own.certificate}`,
      `ssl_options.keyfile = ${own.key}`,
    ]),
    startPostgres(databasesPlace),
  ]);
  broker = nodes[0] as RabbitmqNode;

  client = new pg.Client(database.addresses.databaseUrl);
  await client.connect();
  await certifyDatabase(own);
  const rabbitmqUrl = new URL(broker.addresses.rabbitmqUrl.replace('amqp:', 'amqps:'));
  const databaseUrl = new URL(database.addresses.databaseUrl);
  Object.assign(rabbitmqUrl, { hostname: 'localhost', port });
  Object.assign(databaseUrl, { hostname: 'localhost', search: '?sslmode=verify-full' });
  urls = { rabbitmqUrl: rabbitmqUrl.href, databaseUrl: databaseUrl.href };
});
afterEach(async () => {
  await Promise.all(processes.splice(0).map((process) => process.stop('SIGKILL')));
});
afterAll(async () => {
  await client?.end();
  await Promise.all(places.map(({ guard }) => guard.end()));
});

/** Turns TLS on in the database, which runs already. */
async function certifyDatabase({ certificate, key }: Certificate): Promise<void> {
  const { folder } = places[1] as Workplace;
  const { uid, gid } = await stat(folder);
  const copies = { certificate: join(folder, 'server.crt'), key: join(folder, 'server.key') };
  await copyFile(certificate, copies.certificate);
  await copyFile(key, copies.key);
  // The server takes no key that belongs to, or can be read by, anybody else.
  await Promise.all(Object.values(copies).map((file) => chown(file, uid, gid)));
  await client.query(`alter system set ssl_cert_file = '${copies.certificate}'`);
  await client.query(`alter system set ssl_key_file = '${copies.key}'`);
  await client.query('alter system set ssl = on');
  await client.query('select pg_reload_conf()');
  await eventually(async () => (await client.query('show ssl')).rows[0].ssl === 'on');
}

async function given(app: 'api' | 'worker', settings: Record<string, string>, on = urls) {
  const process = await givenProcess(app, on, settings);
  processes.push(process);
  return process;
}
/** What an app that is not ready logs of why it cannot be. */
async function refusalsOf(app: AppProcess): Promise<string[]> {
  await eventually(async () => (await fetch(`${app.url}/health/ready`)).status === 503, 60_000);
  const lines = [/No broker answers for .*/, /The database does not answer: .*/];
  return Promise.all(lines.map((line) => eventually(() => line.exec(app.output())?.[0])));
}

const tls = available ? test : test.skip;

tls('jobs run over TLS to the broker and to the database, given the authority', async () => {
  const trusting = { NODE_EXTRA_CA_CERTS: authority.certificate };
  const env = { ...trusting, RABBITMQ_URL: urls.rabbitmqUrl, DATABASE_URL: urls.databaseUrl };
  await promisify(execFile)(process.execPath, [join(builtApps, 'dist/scripts/migrate.js')], { env });
  const [api, worker] = await Promise.all([given('api', trusting), given('worker', trusting)]);
  await Promise.all([api.ready(), worker.ready()]);
  const answer = await fetch(`${api.url}/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: 'wait=30' },
    body: JSON.stringify({ name: 'sample.flaky', payload: { failures: 0 } }),
  });
  expect(await answer.json()).toMatchObject({ state: 'succeeded' });

  const listed = await broker.ctl('list_connections', 'ssl', '--no-table-headers');
  const connections = listed.trim().split(/\s+/);
  expect(connections.length).toBeGreaterThanOrEqual(3);
  expect(new Set(connections)).toEqual(new Set(['true']));
  const { rows } = await client.query(
    `select bool_and(ssl) as all, count(*)::int from pg_stat_ssl join pg_stat_activity using (pid)
     where application_name = 'warren'`,
  );
  expect(rows[0]).toEqual({ all: true, count: expect.any(Number) });
  expect(rows[0].count).toBeGreaterThan(0);
});

describe('an app connects to neither', () => {
  tls('when it does not know the authority', async () => {
    for (const refusal of await refusalsOf(await given('api', {})))
      expect(refusal).toMatch(/unable to (verify|get)|self.signed|issuer/i);
  });

  tls('when their certificates are for another host', async () => {
    const byAddress = {
      rabbitmqUrl: urls.rabbitmqUrl.replace('localhost', '127.0.0.1'),
      databaseUrl: urls.databaseUrl.replace('localhost', '127.0.0.1'),
    };
    const app = await given('api', { NODE_EXTRA_CA_CERTS: authority.certificate }, byAddress);
    for (const refusal of await refusalsOf(app)) expect(refusal).toMatch(/does not match certificate/);
  });
});
