import { SendNotification } from '#contracts';
import { type Handler, type JobContext, JobHandler } from '#jobs';
import { Webhooks } from './webhooks.js';

/** Sends one notification to one webhook. */
@JobHandler(SendNotification)
export class SendNotificationHandler implements Handler<typeof SendNotification> {
  constructor(private readonly webhooks: Webhooks) {}

  async handle({ id, payload, createdAt, signal }: JobContext<typeof SendNotification>) {
    return { status: await this.webhooks.send(payload, { id, at: createdAt, signal }) };
  }
}
