import type { JobDelivery } from '../decode.js';

/** Deliveries in flight, by `id/attempt`. A copy that the broker delivers again replaces the old one: only it can be acked. */
export class InFlight {
  private readonly deliveries = new Map<string | JobDelivery, DeliveryInFlight>();
  private onChange: () => void = () => {};

  get size(): number {
    return this.deliveries.size;
  }

  /** @returns the delivery to process; undefined for a copy of one in flight. */
  add(delivery: JobDelivery, key: string | JobDelivery = delivery): DeliveryInFlight | undefined {
    const earlier = this.deliveries.get(key);
    if (earlier) {
      earlier.replaceBy(delivery);
      return undefined;
    }
    const added = new DeliveryInFlight(key, delivery);
    this.deliveries.set(key, added);
    return added;
  }

  delete({ key }: DeliveryInFlight): void {
    this.deliveries.delete(key);
    this.onChange();
  }

  /** Waits until at most `count()` are left. It is called at each change, and by {@link recount}. */
  left(count: () => number): Promise<void> {
    return new Promise((resolve) => {
      this.onChange = () => {
        if (this.deliveries.size <= count()) resolve();
      };
      this.onChange();
    });
  }

  /** Has {@link left} call `count` again. */
  recount(): void {
    this.onChange();
  }
}

/** A delivery in flight: acknowledging it acknowledges its newest copy. */
export class DeliveryInFlight implements JobDelivery {
  private hasCopy = false;
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
    this.hasCopy = true;
  }

  /** Acknowledges it, unless a copy came meanwhile that is to be processed, too. @returns whether one did. */
  ackUnlessCopied(): boolean {
    const { hasCopy } = this;
    this.hasCopy = false;
    if (!hasCopy) this.ack();
    return hasCopy;
  }

  ack(): void {
    this.newest.ack();
  }
}
