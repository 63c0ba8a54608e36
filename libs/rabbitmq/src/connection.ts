import { EventEmitter, once } from 'node:events';
import type { Duplex } from 'node:stream';
import { Logger } from '@nestjs/common';
import { type AmqpConnectionManager, connect } from 'amqp-connection-manager';
import type { Channel, ChannelModel } from 'amqplib';
import { settledWithin, TransientError } from '#common';
import { maskUrl } from '#config';

/** How long a try to connect may take, and the pause between two tries. */
const CONNECT_TIMEOUT_MS = 5_000;
const RECONNECT_PAUSE_S = 1;
const CLOSE_TIMEOUT_MS = 2_000;
/** In seconds. With 10 s a handler that blocked the event loop for 30 s lost its connection, and its jobs ran twice. */
const HEARTBEAT_S = 30;

/**
 * A connection to whichever broker of a list answers, made again when it is lost. Channels are ours: the library's wrapper
 * keeps messages in unbounded memory, and acknowledges on channels that did not deliver.
 *
 * Emits `up` and `down` with each connection, `blocked` and `unblocked` with the broker's resource alarms.
 */
export class BrokerConnection extends EventEmitter {
  private readonly logger = new Logger(BrokerConnection.name);
  private readonly manager: AmqpConnectionManager;
  /** The connection at this moment, if a broker answers. */
  model: ChannelModel | undefined;
  private lostAt: number | undefined = Date.now();
  private lastFailure = '';
  closing = false;
  /** The broker reads nothing from this connection while it is short of memory or disk. */
  blocked = false;

  /**
   * @param urls addresses of the broker; each is tried in turn.
   * @param purpose what the connection is for, as the management page and the logs name it.
   */
  constructor(
    urls: readonly string[],
    readonly purpose: string,
  ) {
    super();
    this.setMaxListeners(0);
    this.manager = connect([...urls], {
      heartbeatIntervalInSeconds: HEARTBEAT_S,
      reconnectTimeInSeconds: RECONNECT_PAUSE_S,
      connectionOptions: {
        timeout: CONNECT_TIMEOUT_MS,
        keepAlive: true,
        noDelay: true,
        clientProperties: { connection_name: `warren ${purpose} ${process.pid}` },
      },
    });
    this.manager.on('connect', ({ connection, url }) =>
      this.onConnect(connection as unknown as ChannelModel, String(url)),
    );
    this.manager.on('connectFailed', ({ err }) => this.onFailure(err));
    this.manager.on('disconnect', ({ err }) => this.onDisconnect(err));
    this.manager.on('blocked', ({ reason }) => {
      this.blocked = true;
      this.logger.warn(`The broker blocked the ${purpose} connection: ${reason}`);
      this.emit('blocked');
    });
    this.manager.on('unblocked', () => {
      this.blocked = false;
      this.logger.log(`The broker unblocked the ${purpose} connection`);
      this.emit('unblocked');
    });
  }

  get isUp(): boolean {
    return this.model !== undefined;
  }

  /** Waits until a broker answers; at once when one does. */
  async whenUp(signal?: AbortSignal): Promise<void> {
    if (!this.isUp) await once(this, 'up', { signal });
  }

  /**
   * Opens a channel for one short task, such as declaring a queue, and closes it again. An error of the channel
   * rejects the task and harms nothing else.
   *
   * @throws BrokerUnavailableError when no broker answers, or its connection was lost meanwhile.
   */
  async withChannel<T>(task: (channel: Channel) => Promise<T>): Promise<T> {
    const { model: connection } = this;
    if (!connection) throw new BrokerUnavailableError();
    let channel: Channel | undefined;
    try {
      channel = await connection.createChannel();
      // Without a listener amqplib would throw; the pending call is rejected with the same error.
      channel.on('error', () => {});
      return await task(channel);
    } catch (error) {
      throw this.model === connection ? error : new BrokerUnavailableError('its connection was lost');
    } finally {
      // amqplib never settles a close whose connection is lost before the broker's answer.
      if (channel) await answered(channel.close());
    }
  }

  async close(): Promise<void> {
    this.closing = true;
    this.model = undefined;
    await answered(this.manager.close());
    this.removeAllListeners();
  }

  private onConnect(connection: ChannelModel, url: string): void {
    const afterMs = this.lostAt && Date.now() - this.lostAt;
    this.logger.log({ msg: 'Connected to the broker', url: maskUrl(url), purpose: this.purpose, afterMs });
    gatherWrites((connection.connection as unknown as { stream: Duplex }).stream);
    this.model = connection;
    this.lostAt = undefined;
    this.lastFailure = '';
    this.blocked = false;
    this.emit('up');
  }

  private onDisconnect(error: Error | undefined): void {
    if (!this.model) return;
    this.model = undefined;
    this.blocked = false;
    this.lostAt = Date.now();
    if (!this.closing)
      this.logger.warn(`Lost the ${this.purpose} connection: ${maskUrl(error?.message ?? 'closed')}`);
    this.emit('down');
  }

  /** Logged once for each cause in an outage, not once a second. */
  private onFailure(error: Error): void {
    const cause = maskUrl(error.message);
    if (cause === this.lastFailure || this.closing) return;
    this.lastFailure = cause;
    const refused = /ACCESS_REFUSED|access to vhost|NOT_ALLOWED|Handshake terminated/i.test(cause);
    this.logger.error(
      refused
        ? `The broker refuses the ${this.purpose} connection: ${cause}. Check user, password and vhost in RABBITMQ_URL.`
        : `No broker answers for ${this.purpose}: ${cause}. Retrying every ${RECONNECT_PAUSE_S} s.`,
    );
  }
}

/** amqplib writes each message by itself. Held for one turn of the event loop, they cost one system call for 16 KiB. */
function gatherWrites(stream: Duplex): void {
  const { write } = stream;
  stream.write = function (this: Duplex, ...chunk: Parameters<Duplex['write']>) {
    if (this.writableCorked === 0) {
      this.cork();
      process.nextTick(() => this.uncork());
    }
    return write.apply(this, chunk);
  } as Duplex['write'];
}

/** Waits for the answer to a close, but not for ever: a blocked broker does not answer. */
export const answered = (closing: Promise<unknown>): Promise<boolean> =>
  settledWithin(closing, CLOSE_TIMEOUT_MS);

/** No broker answers, or it is blocked, or the publish window is full: nothing was sent. */
export class BrokerUnavailableError extends TransientError {
  override readonly name = 'BrokerUnavailableError';
  constructor(reason = 'no broker answers') {
    super(`Not published: ${reason}`);
  }
}
