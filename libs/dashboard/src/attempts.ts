/** So many wrong passwords may come for one name from one address, and one more in every minute. */
const MAX_FAILURES = 5;
const FORGIVEN_EVERY_MS = 60_000;
/** Beyond this the oldest are forgotten: who has that many addresses is not stopped by counting them. */
const MAX_KEYS = 10_000;

/** Counts failed sign-ins in this process, so that passwords cannot be tried one after the other. */
export class FailedAttempts {
  private readonly failures = new Map<string, { count: number; since: number }>();

  constructor(private readonly now: () => number = () => performance.now()) {}

  /** How long to wait before the next attempt, in seconds; 0 when it may be made. */
  waitS(key: string): number {
    const surplus = this.left(key) + 1 - MAX_FAILURES;
    return Math.max(0, Math.ceil((surplus * FORGIVEN_EVERY_MS) / 1_000));
  }

  /** Counts an attempt before it is known how it ends: many at once are counted, too. */
  count(key: string): void {
    const count = this.left(key) + 1;
    this.failures.delete(key);
    this.failures.set(key, { count, since: this.now() });
    const [oldest] = this.failures.keys();
    if (this.failures.size > MAX_KEYS && oldest !== undefined) this.failures.delete(oldest);
  }

  /** The password was right. */
  forget(key: string): void {
    this.failures.delete(key);
  }

  private left(key: string): number {
    const { count, since } = this.failures.get(key) ?? { count: 0, since: this.now() };
    return Math.max(0, count - (this.now() - since) / FORGIVEN_EVERY_MS);
  }
}

/** Waits of a second or so, where a check takes some 80 ms. */
const MAX_WAITING = 8;
/** Of those, from one network. */
const MAX_WAITING_TOGETHER = 3;
/** Where people have signed in before; beyond this the oldest are forgotten. */
const MAX_KNOWN = 1_000;

/**
 * Has passwords checked one after the other, so that a flood of attempts takes neither memory nor the threads that other
 * work needs. Few wait, and the others are refused at once. Those who have signed in from their network before have a lane
 * of their own, so that no unknown client is before them.
 */
export class SignInLanes {
  private readonly known = new Set<string>();
  private readonly lanes = { known: new Lane(), strange: new Lane() };

  /**
   * Runs a check in its turn.
   *
   * @param check resolves to whether it was really them.
   * @returns what the check made; undefined when there is no room, and nothing was run.
   */
  run<T>(
    network: string,
    name: string,
    check: () => Promise<T | undefined>,
  ): Promise<T | undefined> | undefined {
    const who = `${network} ${name}`;
    const lane = this.known.has(who) ? this.lanes.known : this.lanes.strange;
    return lane.run(network, check)?.then((made) => {
      if (made !== undefined) this.remember(who);
      return made;
    });
  }

  private remember(who: string): void {
    this.known.delete(who);
    this.known.add(who);
    const [oldest] = this.known;
    if (this.known.size > MAX_KNOWN && oldest !== undefined) this.known.delete(oldest);
  }
}

/** One at a time; of those that wait, few from one network. */
class Lane {
  private last: Promise<unknown> = Promise.resolve();
  private readonly inside = new Map<string, number>();
  private count = 0;

  run<T>(network: string, task: () => Promise<T>): Promise<T> | undefined {
    const together = this.inside.get(network) ?? 0;
    if (this.count >= MAX_WAITING || together >= MAX_WAITING_TOGETHER) return undefined;
    this.inside.set(network, together + 1);
    this.count++;
    const done = this.last.then(task).finally(() => {
      this.count--;
      const left = (this.inside.get(network) ?? 1) - 1;
      if (left > 0) this.inside.set(network, left);
      else this.inside.delete(network);
    });
    this.last = done.catch(() => {});
    return done;
  }
}

/** Anyone who has one address of IPv6 has a whole network of 64 bits of them. */
export const networkOf = (address: string): string =>
  address.includes('.') || !address.includes(':')
    ? address
    : address.split('::')[0]!.split(':').slice(0, 4).join(':');
