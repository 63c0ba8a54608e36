import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { type ParsedMail, simpleParser } from 'mailparser';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { loadSettings } from '#config';
import { SendEmail } from '#contracts';
import { NonRetryableError } from '#jobs';
import { eventually, givenJob } from '#testing';
import { Mailer } from '../mailer.js';
import { SendEmailHandler } from './send-email.handler.js';

type Stage = 'connect' | 'mail' | 'rcpt' | 'data';

let server: SMTPServer;
let mailer: Mailer;
let handler: SendEmailHandler;
let delivered: { mail: ParsedMail; raw: string; recipients: string[] }[] = [];
let connections = 0;
/** The stage that is refused, with this reply; at a stage without a code the server falls silent. */
let refusal: { stage: Stage; code?: number } | undefined;
let silent = 0;

function reply(stage: Stage, done: (error?: Error) => void) {
  if (refusal?.stage !== stage) return done();
  if (refusal.code === undefined) silent++;
  else done(Object.assign(new Error('no such luck'), { responseCode: refusal.code }));
}

const options: SMTPServerOptions = {
  authOptional: true,
  disabledCommands: ['STARTTLS'],
  closeTimeout: 100,
  onConnect: (_, done) => {
    connections++;
    reply('connect', done);
  },
  onMailFrom: (_, __, done) => reply('mail', done),
  onRcptTo: (_, __, done) => reply('rcpt', done),
  onData: async (stream, session, done) => {
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    const raw = Buffer.concat(chunks);
    const recipients = session.envelope.rcptTo.map(({ address }) => address);
    if (refusal?.stage !== 'data') {
      delivered.push({ mail: await simpleParser(raw), raw: raw.toString('latin1'), recipients });
    }
    reply('data', done);
  },
};

beforeAll(async () => {
  server = new SMTPServer(options);
  server.on('error', () => {});
  const listening = server.listen(0, '127.0.0.1');
  await once(listening, 'listening');
  const { port } = listening.address() as AddressInfo;
  mailer = new Mailer(
    loadSettings({ SMTP_URL: `smtp://127.0.0.1:${port}`, MAIL_FROM: 'Warren <warren@example.org>' }),
  );
  handler = new SendEmailHandler(mailer);
});

beforeEach(() => {
  delivered = [];
  refusal = undefined;
  silent = 0;
});

afterAll(async () => {
  mailer.onApplicationShutdown();
  await new Promise<void>((done) => server.close(done));
});

const payload = {
  to: 'ada@example.org',
  subject: 'Grüße aus dem Bau',
  text: 'Erste Zeile\n.\n..Ende – 🐇\n',
};

test('sends the mail as it was asked for', async () => {
  const job = givenJob(SendEmail, payload);
  expect(await handler.handle(job)).toEqual({ messageId: `<${job.id}@warren>` });

  expect(delivered).toHaveLength(1);
  const { mail, recipients } = delivered[0]!;
  expect(recipients).toEqual(['ada@example.org']);
  expect(mail.subject).toBe(payload.subject);
  expect(mail.text).toBe(payload.text);
  expect(mail.html).toBe(false);
  expect(mail.from?.text).toBe('"Warren" <warren@example.org>');
  expect(mail.messageId).toBe(`<${job.id}@warren>`);
});

test('a second attempt sends the same Message-ID', async () => {
  const job = givenJob(SendEmail, payload);
  await handler.handle(job);
  await handler.handle({ ...job, attempt: 2 });
  expect(delivered.map(({ mail }) => mail.messageId)).toEqual([`<${job.id}@warren>`, `<${job.id}@warren>`]);
});

test('mails share a connection', async () => {
  await handler.handle(givenJob(SendEmail, payload));
  const before = connections;
  await handler.handle(givenJob(SendEmail, payload));
  await handler.handle(givenJob(SendEmail, payload));
  expect(delivered).toHaveLength(3);
  expect(connections).toBe(before);
});

test.each([
  'Hi\r\nBcc: eve@example.org',
  'Hi\nBcc: eve@example.org\n\nbody',
  'Hi\rBcc: eve@example.org',
  'Hi\0',
])('the subject %j adds neither a header nor a recipient', async (subject) => {
  await handler.handle(givenJob(SendEmail, { ...payload, subject }));
  const { mail, raw, recipients } = delivered[0]!;
  expect(recipients).toEqual(['ada@example.org']);
  expect(mail.headers.has('bcc')).toBe(false);
  expect(raw).not.toMatch(/^Bcc:/im);
  expect(mail.text).toBe(payload.text);
});

test.each([
  'ada@example.org, eve@example.org',
  'ada@example.org\r\nRCPT TO:<eve@example.org>',
  'ada@example.org>\r\nBcc: <eve@example.org',
  'Friends: eve@example.org, ada@example.org;',
])('the address %j, should it get past the contract, reaches nobody else', async (to) => {
  expect(SendEmail.payload.safeParse({ ...payload, to }).success).toBe(false);
  const job = givenJob(SendEmail, payload);
  await handler.handle({ ...job, payload: { ...payload, to } }).catch(() => {});
  for (const { recipients, raw } of delivered) {
    expect(recipients).not.toContain('eve@example.org');
    expect(raw).not.toMatch(/^Bcc:/im);
  }
});

test.each([
  ['rcpt', 550],
  ['rcpt', 553],
  ['data', 554],
  ['data', 552],
] as [Stage, number][])('a refusal for good at %s (%d) is not tried again', async (stage, code) => {
  refusal = { stage, code };
  const failed = handler.handle(givenJob(SendEmail, payload));
  await expect(failed).rejects.toThrow(NonRetryableError);
  await expect(failed).rejects.toThrow(/refuses this mail for good: .*no such luck/);
});

test.each([
  ['rcpt', 450],
  ['rcpt', 452],
  ['data', 451],
  ['mail', 451],
  ['mail', 550],
  ['connect', 421],
  ['connect', 554],
] as [Stage, number][])('a refusal at %s (%d) that may pass is an ordinary failure', async (stage, code) => {
  refusal = { stage, code };
  const fresh = stage === 'connect' ? anotherMailer() : undefined;
  const failed = (fresh ? new SendEmailHandler(fresh) : handler).handle(givenJob(SendEmail, payload));
  await expect(failed).rejects.toThrow(/no such luck/);
  await expect(failed).rejects.not.toThrow(NonRetryableError);
  fresh?.onApplicationShutdown();
});

test('after a refusal the next mail goes through', async () => {
  refusal = { stage: 'rcpt', code: 550 };
  await handler.handle(givenJob(SendEmail, payload)).catch(() => {});
  refusal = undefined;
  await handler.handle(givenJob(SendEmail, payload));
  expect(delivered).toHaveLength(1);
});

test('a server that is not there is an ordinary failure', async () => {
  const closed = new SMTPServer(options);
  const listening = closed.listen(0, '127.0.0.1');
  await once(listening, 'listening');
  const { port } = listening.address() as AddressInfo;
  await new Promise<void>((done) => closed.close(done));
  const lost = new Mailer(loadSettings({ SMTP_URL: `smtp://127.0.0.1:${port}` }));
  const failed = new SendEmailHandler(lost).handle(givenJob(SendEmail, payload));
  await expect(failed).rejects.toThrow('ECONNREFUSED');
  await expect(failed).rejects.not.toThrow(NonRetryableError);
  lost.onApplicationShutdown();
});

test.each(['connect', 'mail', 'rcpt', 'data'] as Stage[])(
  'a server that falls silent at %s is let go when the job is aborted',
  async (stage) => {
    refusal = { stage };
    const fresh = anotherMailer();
    const controller = new AbortController();
    const reason = new Error('time is over');
    const sending = new SendEmailHandler(fresh).handle(
      givenJob(SendEmail, payload, { signal: controller.signal }),
    );
    const failed = expect(sending).rejects.toBe(reason);
    await eventually(() => silent > 0);
    const open = server.connections.size;
    controller.abort(reason);
    await failed;
    await eventually(() => server.connections.size < open);
    fresh.onApplicationShutdown();
  },
);

test('an aborted job sends nothing', async () => {
  const signal = AbortSignal.abort(new Error('too late'));
  await expect(handler.handle(givenJob(SendEmail, payload, { signal }))).rejects.toThrow('too late');
  expect(delivered).toHaveLength(0);
});

function anotherMailer(): Mailer {
  const { port } = server.server.address() as AddressInfo;
  return new Mailer(loadSettings({ SMTP_URL: `smtp://127.0.0.1:${port}` }));
}
