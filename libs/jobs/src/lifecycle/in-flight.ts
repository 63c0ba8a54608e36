import type { JobDelivery } from '../message.js';

/**
 * The deliveries that this process works on: attempts, as `id/attempt`, and messages that cannot be read. One that is
 * delivered again after a lost connection, while it is still in flight, takes the place of its older copy: until the job
 * is claimed and settled, it may be all that there is of it.
 */
export class InFlight {
  private readonly held = new Map<string | JobDelivery, HeldDelivery>();
  private onChange: () => void = () => {};

  /** How many there are. */
  get size(): number {
    return this.held.size;
  }

  /** @returns what to work on; undefined for a copy of what is in flight. */
  add(delivery: JobDelivery, key: string | JobDelivery = delivery): HeldDelivery | undefined {
    const held = this.held.get(key);
    if (held) {
      held.replaceBy(delivery);
      return undefined;
    }
    const added = new HeldDelivery(key, delivery);
    this.held.set(key, added);
    return added;
  }

  delete({ key }: HeldDelivery): void {
    this.held.delete(key);
    this.onChange();
  }

  /** Waits until no more than so many are left. @param count is asked at each change, and by {@link recount}. */
  left(count: () => number): Promise<void> {
    return new Promise((resolve) => {
      this.onChange = () => {
        if (this.held.size <= count()) resolve();
      };
      this.onChange();
    });
  }

  /** What {@link left} waits for may have changed. */
  recount(): void {
    this.onChange();
  }
}

/** A delivery in flight: acknowledging it acknowledges its newest copy. */
export class HeldDelivery implements JobDelivery {
  readonly queue: string;
  readonly message: JobDelivery['message'];

  constructor(
    readonly key: string | JobDelivery,
    private newest: JobDelivery,
  ) {
    this.queue = newest.queue;
    this.message = newest.message;
  }

  replaceBy(copy: JobDelivery): void {
    this.newest.ack();
    this.newest = copy;
  }

  ack(): void {
    this.newest.ack();
  }
}
