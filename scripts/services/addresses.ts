import { createServer } from 'node:net';
import { connect } from 'amqplib';
import pg from 'pg';

const TIMEOUT_MS = 5_000;

/** Takes an AMQP address. Throws when no broker there accepts its user, password and vhost. */
export async function checkRabbitmq(url: string): Promise<void> {
  const connection = await connect(url, { timeout: TIMEOUT_MS });
  await connection.close();
}

/** Takes the address of a management API, credentials inside. Throws when nothing there accepts them. */
export async function checkRabbitmqManagement(url: string): Promise<void> {
  const { username, password, origin } = new URL(url);
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  const response = await fetch(`${origin}/api/vhosts`, {
    headers: { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` },
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  await response.arrayBuffer();
  if (!response.ok) throw new Error(`GET ${origin}/api/vhosts answered ${response.status}`);
}

/** Takes a PostgreSQL address. Throws when no server there accepts its user, password and database. */
export async function checkPostgres(url: string): Promise<void> {
  await query(url, 'SELECT 1');
}

/** Runs one statement on a connection of its own. Throws what the server or the network says. */
export async function query(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: TIMEOUT_MS });
  // A connection that breaks also rejects the promise below, which is where it is reported.
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query(statement);
  } finally {
    await client.end();
  }
}

/** Takes how many are wanted; returns that many different TCP ports that are free on 127.0.0.1 right now. */
export async function freePorts(count: number): Promise<number[]> {
  const sockets = await Promise.all(
    Array.from({ length: count }, async () => {
      const socket = createServer();
      await new Promise<void>((resolve, reject) => {
        socket.once('error', reject);
        socket.listen(0, '127.0.0.1', resolve);
      });
      return socket;
    }),
  );
  const ports = sockets.map((socket) => (socket.address() as { port: number }).port);
  await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.close(resolve))));
  return ports;
}
