import { Logger } from '@nestjs/common';
import type { Channel, ChannelModel } from 'amqplib';
import { withTimeout } from '#common';
import { maskUrl } from '#config';
import { answered, type BrokerConnection } from './connection.js';

/** How long opening a channel may take; a broker that starts takes seconds, and one that never answers is given up. */
const SETUP_TIMEOUT_MS = 30_000;
/** A closed channel is opened again after this pause, so that a fault that closes it each time does not cause a hot loop. */
const REOPEN_PAUSE_MS = 500;

/** A channel that is open for as long as its connection lives: `setup` runs on each new one. Failures are logged once a cause. */
export class KeptChannel<C extends Channel> {
  private readonly logger = new Logger('BrokerConnection');
  private current: C | undefined;
  private isOpening = false;
  private isClosed = false;
  private retry: NodeJS.Timeout | undefined;
  private lastProblem = '';

  /** @param open opens it, plain or with confirms. */
  constructor(
    private readonly connection: BrokerConnection,
    private readonly name: string,
    private readonly open: (connection: ChannelModel) => Promise<C>,
    private readonly setup: (channel: C) => Promise<void> | void,
  ) {
    connection.on('up', this.start);
    void this.start();
  }

  async close(): Promise<void> {
    this.isClosed = true;
    clearTimeout(this.retry);
    this.connection.off('up', this.start);
    if (this.current) await answered(this.current.close());
  }

  private readonly start = async (): Promise<void> => {
    const { model } = this.connection;
    if (this.isOver || this.isOpening || this.current || !model) return;
    this.isOpening = true;
    try {
      const channel = await this.inTime(this.open(model));
      this.current = channel;
      // The close event follows each error event, and each loss of the connection.
      channel.on('error', (error) => this.tell(error));
      channel.once('close', this.reopen);
      await this.inTime(Promise.resolve(this.setup(channel)));
      if (this.current === channel) this.lastProblem = '';
    } catch (error) {
      this.tell(error as Error);
      if (this.current) await answered(this.current.close());
      this.reopen();
    } finally {
      this.isOpening = false;
    }
  };

  private readonly reopen = (): void => {
    this.current = undefined;
    clearTimeout(this.retry);
    if (!this.isOver) this.retry = setTimeout(() => void this.start(), REOPEN_PAUSE_MS);
  };

  private get isOver(): boolean {
    return this.isClosed || this.connection.closing;
  }

  private tell({ message }: Error): void {
    const problem = maskUrl(message);
    // Errors after a close are expected.
    if (problem !== this.lastProblem && !this.isOver) this.logger.warn(`Channel "${this.name}": ${problem}`);
    this.lastProblem = problem;
  }

  private inTime<T>(task: Promise<T>): Promise<T> {
    return withTimeout(task, SETUP_TIMEOUT_MS, () => {
      throw new Error(`no answer in ${SETUP_TIMEOUT_MS} ms while channel ${this.name} was set up`);
    });
  }
}
