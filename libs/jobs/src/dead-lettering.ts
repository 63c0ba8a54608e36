import { Injectable } from '@nestjs/common';
import { TransientError } from '#common';
import { Settings } from '#config';
import type { Delivery } from '#rabbitmq';
import { UnprocessableMessages } from '#records';
import { Outbox } from './outbox.js';
import { bareMessage, describeMessage, scrub } from './unprocessable.js';

/** Makes dead letters of messages that no job can be made of. */
@Injectable()
export class DeadLettering {
  constructor(
    private readonly settings: Settings,
    private readonly messages: UnprocessableMessages,
    private readonly outbox: Outbox,
  ) {}

  /**
   * Records a message as a dead letter and puts its copy into the dead-letter queue; should that fail, the relay does.
   * Once this resolves the message may be acknowledged. As often as it is done, it is one dead letter.
   *
   * @param reason why no job can be made of it.
   * @throws TransientError when it is not known to be recorded.
   */
  async deadLetter(delivery: Pick<Delivery, 'queue' | 'message'>, reason: string): Promise<void> {
    const deadReason = scrub(reason);
    const message = describeMessage(delivery, deadReason, this.settings.MAX_PAYLOAD);
    const { isNew, ...record } = await this.messages.record(message).catch((error) => {
      if (error instanceof TransientError) throw error;
      return this.messages.record(bareMessage(message));
    });
    if (!isNew) return;
    const { name, queue, payload } = message;
    await this.outbox.publish({ ...record, name, queue, payload, received: message }, { deadReason });
  }
}
