import { SendEmail } from '#contracts';
import { type Handler, type JobContext, JobHandler } from '#jobs';
import { Mailer } from '../mailer.js';

/** Sends a mail. Every attempt sends the same Message-ID, made of the job's id. */
@JobHandler(SendEmail)
export class SendEmailHandler implements Handler<typeof SendEmail> {
  constructor(private readonly mailer: Mailer) {}

  async handle({ id, payload, signal }: JobContext<typeof SendEmail>) {
    return this.mailer.send({ ...payload, id }, signal);
  }
}
