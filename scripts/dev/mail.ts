import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type AddressObject, type ParsedMail, simpleParser } from 'mailparser';
import { maskUrl } from '#config';
import { openMailServer } from '../mail-server.js';

/** The newest are shown. */
const KEPT = 100;

/**
 * Takes in what the jobs send while somebody develops them, unless SMTP_URL names a mail server.
 *
 * @param env is given the SMTP_URL. @param stops is given how to stop it.
 * @returns where mails are found, or go to.
 */
export async function receiveMails(
  env: NodeJS.ProcessEnv,
  stops: (() => Promise<unknown>)[],
): Promise<string> {
  if (env.SMTP_URL) return `they go to ${maskUrl(env.SMTP_URL)}`;
  const mails: Buffer[] = [];
  const smtp = await openMailServer((_recipients, source) => {
    mails.unshift(source);
    mails.length = Math.min(mails.length, KEPT);
  });
  stops.push(smtp.close);
  env.SMTP_URL = smtp.url;

  const page = createServer(async (_request, response) => {
    const parsed = await Promise.all(mails.map((mail) => simpleParser(mail)));
    const head = mails.length > 0 ? 'The newest mail comes first.' : 'There are no mails yet.';
    // Plain text: what a mail says cannot become a part of the page.
    response.setHeader('content-type', 'text/plain; charset=utf-8');
    response.setHeader('x-content-type-options', 'nosniff');
    response.end([head, ...parsed.map(written)].join('\n\n'));
  }).listen(0, '127.0.0.1');
  await once(page, 'listening');
  stops.push(async () => {
    page.close();
    page.closeAllConnections();
  });
  return `http://127.0.0.1:${(page.address() as AddressInfo).port}`;
}

function written({ from, to, date, subject, text }: ParsedMail): string {
  const names = (addresses?: AddressObject | AddressObject[]) =>
    [addresses ?? []]
      .flat()
      .map((one) => one.text)
      .join(', ');
  return `From: ${names(from)}\nTo: ${names(to)}\nDate: ${date?.toISOString()}\nSubject: ${subject}\n\n${text}`;
}
