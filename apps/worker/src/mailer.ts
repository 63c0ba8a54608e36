import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { createTransport, type SendMailOptions, type SentMessageInfo, type Transporter } from 'nodemailer';
import { Settings } from '#config';
import { NonRetryableError } from '#jobs';

/** Providers commonly allow ten connections or so from one client; a queue of the pool's own forms beyond. */
const MAX_CONNECTIONS = 10;
/** Together within the 30 s of an attempt, so that the error says what was slow. */
const CONNECT_TIMEOUT_MS = 5_000;
const GREETING_TIMEOUT_MS = 10_000;
const SILENCE_TIMEOUT_MS = 14_000;

export interface Mail {
  to: string;
  subject: string;
  text: string;
  /** What stands before the `@warren` of its Message-ID: the same each time that the same mail is sent. */
  id: string;
}

/** Sends mail through the server of `SMTP_URL`, over connections that are kept open. */
@Injectable()
export class Mailer implements OnApplicationShutdown {
  private readonly transport: Transporter<SentMessageInfo>;

  constructor(settings: Settings) {
    this.transport = createTransport(
      {
        url: settings.SMTP_URL,
        pool: true,
        maxConnections: MAX_CONNECTIONS,
        dnsTimeout: CONNECT_TIMEOUT_MS,
        connectionTimeout: CONNECT_TIMEOUT_MS,
        greetingTimeout: GREETING_TIMEOUT_MS,
        socketTimeout: SILENCE_TIMEOUT_MS,
        // A mail's content is text from a payload, never something to be fetched for it.
        disableFileAccess: true,
        disableUrlAccess: true,
      },
      { from: settings.MAIL_FROM },
    );
  }

  /**
   * Hands a mail to the server. When aborted, its connection is cut; should the server have had the whole mail by
   * then, a second sending carries the same Message-ID, by which most mailboxes show it once.
   *
   * @returns the Message-ID, with its angle brackets.
   * @throws NonRetryableError when the server refuses recipient or content for good (a 5xx reply, RFC 5321 4.2.1); an
   *   Error for refusals that may pass, and for whatever concerns the server, the login or the sender.
   */
  async send({ to, subject, text, id }: Mail, signal: AbortSignal): Promise<{ messageId: string }> {
    signal.throwIfAborted();
    // As an object, the address is not parsed as a list of addresses.
    const mail = { to: { address: to, name: '' }, subject, text, messageId: `<${id}@warren>`, signal };
    try {
      const { messageId } = await this.transport.sendMail(mail as SendMailOptions);
      return { messageId };
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw isRefusedForGood(error)
        ? new NonRetryableError(`The mail server refuses this mail for good: ${error.message}`, {
            cause: error,
          })
        : error;
    }
  }

  onApplicationShutdown(): void {
    this.transport.close();
  }
}

/** A 5xx to MAIL FROM is about the sender, the same for all mails, and goes away once MAIL_FROM is put right. */
function isRefusedForGood(error: unknown): error is Error {
  const { responseCode, command } = error as { responseCode?: number; command?: string };
  return Math.floor((responseCode ?? 0) / 100) === 5 && (command === 'RCPT TO' || command === 'DATA');
}
