import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { SMTPServer } from 'smtp-server';

/** A mail server in this process. */
export interface MailServer {
  url: string;
  close(): Promise<void>;
}

/**
 * Takes in every mail, and sends none.
 *
 * @param onMail told of each, once it was read to its end, as a server that stores it would have.
 */
export async function openMailServer(
  onMail: (recipients: string[], source: Buffer) => void,
): Promise<MailServer> {
  const smtp = new SMTPServer({
    disabledCommands: ['AUTH', 'STARTTLS'],
    // It would hold back the greeting until a name server has answered.
    disableReverseLookup: true,
    onData(stream, { envelope }, done) {
      buffer(stream).then((source) => {
        onMail(
          envelope.rcptTo.map(({ address }) => address),
          source,
        );
        done();
      }, done);
    },
  });
  // A worker that is killed leaves broken connections, which are no concern of the server.
  smtp.on('error', () => undefined);
  smtp.listen(0, '127.0.0.1');
  await once(smtp.server, 'listening');
  const { port } = smtp.server.address() as AddressInfo;
  return { url: `smtp://127.0.0.1:${port}`, close: () => new Promise((resolve) => smtp.close(resolve)) };
}
