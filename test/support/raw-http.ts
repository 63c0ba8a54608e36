import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** What a server wrote to a connection. */
export interface RawAnswer {
  status: number;
  headers: Headers;
  body: string;
}

/** A connection to an app, on which a test writes what no client would. */
export async function givenSocket(url: string): Promise<Socket> {
  const { port, hostname } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

/** The head of a request, with a body that is announced and does not come. */
export const head = (line: string, headers: Record<string, string> = {}): string =>
  [`${line} HTTP/1.1`, ...Object.entries({ host: 'localhost', ...headers }).map((pair) => pair.join(': '))]
    .concat('', '')
    .join('\r\n');

/** Sends bytes and waits until the server has closed the connection. */
export async function exchange(url: string, bytes: string): Promise<RawAnswer> {
  const socket = await givenSocket(url);
  let text = '';
  socket.on('data', (chunk) => (text += chunk));
  socket.write(bytes);
  await once(socket, 'close');
  return parse(text);
}

/** Reads the first answer that comes on a connection. */
export async function answerOn(socket: Socket): Promise<RawAnswer> {
  const [chunk] = await once(socket, 'data');
  return parse(String(chunk));
}

function parse(text: string): RawAnswer {
  const [top = '', ...rest] = text.split('\r\n\r\n');
  const [line = '', ...fields] = top.split('\r\n');
  const headers = new Headers(fields.map((field) => field.split(/: (.*)/s).slice(0, 2) as [string, string]));
  return { status: Number(line.split(' ')[1]), headers, body: rest.join('\r\n\r\n') };
}
