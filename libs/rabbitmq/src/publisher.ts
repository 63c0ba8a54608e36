import type { ConfirmChannel, Options } from 'amqplib';
import { settledWithin, TransientError } from '#common';
import { BrokerConnection, BrokerUnavailableError } from './connection.js';
import { KeptChannel } from './kept-channel.js';

/** Messages sent and not yet confirmed, and their bytes, at most: what a silent broker can make us hold. */
const WINDOW = 10_000;
const WINDOW_BYTES = 64 * 1024 * 1024;
/** Share of the window that slows producers down. 1,000 in flight give 31 thousand confirms a second, 5,000 give 36. */
const PRESSURE_FROM = 0.2;
/** How long a producer waits at most: after that the relay is as good as a broker that does not confirm. */
const PRESSURE_MS = 250;
/** A quorum queue without a majority sends neither confirm nor refusal; a new leader was seen to take under a second. */
const CONFIRM_TIMEOUT_MS = 10_000;

export interface OutgoingMessage {
  exchange: string;
  routingKey: string;
  content: Buffer;
  /** AMQP properties; `messageId` is what a returned message is known by. */
  properties: Options.Publish & { messageId: string };
  /** Headers instead of those, should they be more than can be sent: another client may have sent more. */
  bareHeaders?: Record<string, unknown>;
}

/** Bounds of a publisher; the defaults and their reasons stand above. */
export interface PublisherOptions {
  window?: number;
  confirmTimeoutMs?: number;
}

interface Unconfirmed {
  message: OutgoingMessage;
  sentAt: number;
  returned: boolean;
  resolve: () => void;
  reject: (error: Error) => void;
}

/**
 * Publishes persistent, mandatory messages on one confirm channel. Nothing is queued here: without a broker, with a blocked
 * one or a full window a publish is refused at once, and the caller's outbox is the buffer.
 */
export class Publisher {
  private channel: ConfirmChannel | undefined;
  private readonly inFlight = new Set<Unconfirmed>();
  private bytesInFlight = 0;
  private readonly kept: KeptChannel<ConfirmChannel>;
  private readonly sweep: NodeJS.Timeout;
  private whenIdle: () => void = () => {};
  private heldUp: (() => void)[] = [];
  private pressureTimer: NodeJS.Timeout | undefined;

  constructor(
    private readonly connection: BrokerConnection,
    private readonly options: PublisherOptions = {},
  ) {
    this.kept = new KeptChannel(
      connection,
      'publish',
      (model) => model.createConfirmChannel(),
      (channel) => this.use(channel),
    );
    this.sweep = setInterval(() => this.rejectOverdue(), 1_000);
    this.sweep.unref();
  }

  /** How many messages could be published at this moment; 0 with no broker or a blocked one. */
  get room(): number {
    if (!this.channel || this.connection.blocked || this.bytesInFlight >= WINDOW_BYTES) return 0;
    return Math.max(0, this.window - this.inFlight.size);
  }

  /**
   * Slows a producer down to what the broker confirms, so that it does not fill the window: what finds that full has to
   * wait for the relay.
   *
   * @returns what to wait for, 250 ms at most; undefined when there is no need, or the broker takes nothing anyway.
   */
  backpressure(): Promise<void> | undefined {
    if (this.room === 0 || !this.isUnderPressure) return undefined;
    this.pressureTimer ??= setTimeout(() => this.letGo(), PRESSURE_MS);
    return new Promise((resolve) => this.heldUp.push(resolve));
  }

  /**
   * Publishes one message and waits for the broker's confirm.
   *
   * @throws BrokerUnavailableError when there is no {@link room}; nothing was sent.
   * @throws UnroutableError when no queue took the message.
   * @throws RefusedError when the broker refused it, for example because the queue is full.
   * @throws PublishTimeoutError when the outcome is not known: the message may or may not have arrived.
   */
  publish(message: OutgoingMessage): Promise<void> {
    const channel = this.channel;
    if (!channel) return Promise.reject(new BrokerUnavailableError());
    if (this.connection.blocked) return Promise.reject(new BrokerUnavailableError('the broker is blocked'));
    if (this.room === 0) return Promise.reject(new BrokerUnavailableError('the publish window is full'));

    return new Promise((resolve, reject) => {
      const entry: Unconfirmed = { message, sentAt: performance.now(), returned: false, resolve, reject };
      const send = (properties: Options.Publish) =>
        channel.publish(
          message.exchange,
          message.routingKey,
          message.content,
          { ...properties, persistent: true, mandatory: true },
          (error) => this.settle(entry, error),
        );
      // amqplib throws at once for what cannot be encoded, such as a routing key of over 255 bytes.
      try {
        send(message.properties);
      } catch (error) {
        if (!message.bareHeaders) throw error;
        send({ ...message.properties, headers: message.bareHeaders });
      }
      this.inFlight.add(entry);
      this.bytesInFlight += message.content.length;
    });
  }

  /** Waits for the confirms of what is in flight, for as long as a confirm may take, then closes the channel. */
  async close(): Promise<void> {
    if (this.inFlight.size > 0 && this.channel) {
      const idle = new Promise<void>((resolve) => {
        this.whenIdle = resolve;
      });
      await settledWithin(idle, this.options.confirmTimeoutMs ?? CONFIRM_TIMEOUT_MS);
    }
    clearInterval(this.sweep);
    this.letGo();
    await this.kept.close();
  }

  private get window(): number {
    return this.options.window ?? WINDOW;
  }

  private get isUnderPressure(): boolean {
    const share = Math.max(this.inFlight.size / this.window, this.bytesInFlight / WINDOW_BYTES);
    return share >= PRESSURE_FROM;
  }

  private letGo(): void {
    clearTimeout(this.pressureTimer);
    this.pressureTimer = undefined;
    for (const goOn of this.heldUp.splice(0)) goOn();
  }

  private use(channel: ConfirmChannel): void {
    this.channel = channel;
    // An unroutable message is returned first and then confirmed: remember which ones came back.
    channel.on('return', ({ properties }) => {
      for (const entry of this.inFlight) {
        if (entry.message.properties.messageId === properties.messageId) entry.returned = true;
      }
    });
    channel.once('close', () => {
      if (this.channel === channel) this.channel = undefined;
      this.letGo();
    });
  }

  private settle(entry: Unconfirmed, error: unknown): void {
    this.inFlight.delete(entry);
    this.bytesInFlight -= entry.message.content.length;
    if (this.heldUp.length > 0 && !this.isUnderPressure) this.letGo();
    if (entry.returned) entry.reject(new UnroutableError(entry.message));
    else if (!error) entry.resolve();
    else if (String((error as Error).message).includes('nacked'))
      entry.reject(new RefusedError(entry.message));
    else entry.reject(new PublishTimeoutError(entry.message, 'the channel closed before the confirm'));
    if (this.inFlight.size === 0) this.whenIdle();
  }

  /** A missing confirm would hold its place in the window for ever: the channel is given up, with all in flight on it. */
  private rejectOverdue(): void {
    const [oldest] = this.inFlight;
    const limit = this.options.confirmTimeoutMs ?? CONFIRM_TIMEOUT_MS;
    if (!oldest || performance.now() - oldest.sentAt < limit) return;
    for (const entry of this.inFlight)
      entry.reject(new PublishTimeoutError(entry.message, `no confirm in ${limit} ms`));
    if (this.connection.blocked) return;
    const channel = this.channel;
    this.channel = undefined;
    void channel?.close().catch(() => {});
  }
}

/** No queue took the message: its exchange has no binding for the routing key. */
export class UnroutableError extends TransientError {
  override readonly name = 'UnroutableError';
  constructor({ exchange, routingKey }: OutgoingMessage) {
    super(
      `No queue takes "${routingKey}" from exchange ${exchange}: run \`npm run migrate\` to declare the topology`,
    );
  }
}

/** The broker refused the message, for example because its queue is full (`reject-publish`). */
export class RefusedError extends TransientError {
  override readonly name = 'RefusedError';
  constructor({ exchange, routingKey }: OutgoingMessage) {
    super(`The broker refused "${routingKey}" on exchange ${exchange}: is its queue full?`);
  }
}

/** Whether the broker has the message is not known; publishing it again is right. */
export class PublishTimeoutError extends TransientError {
  override readonly name = 'PublishTimeoutError';
  constructor({ exchange, routingKey }: OutgoingMessage, reason: string) {
    super(`Not known whether "${routingKey}" reached exchange ${exchange}: ${reason}`);
  }
}
