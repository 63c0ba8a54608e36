import { BurstyRateLimiter, RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';

/** Wrong passwords in this process: five, then one a minute, so that passwords cannot be tried one after the other. */
export class FailedAttempts {
  private readonly steady = new RateLimiterMemory({ points: 1, duration: 60 });
  private readonly first = new RateLimiterMemory({ points: 4, duration: 3_600, keyPrefix: 'first' });
  private readonly limiter = new BurstyRateLimiter(this.steady, this.first);

  /**
   * Counts an attempt before it is known how it ends.
   *
   * @returns how long to wait before the next one, in seconds; 0 when this one may be made.
   */
  async count(key: string): Promise<number> {
    try {
      await this.limiter.consume(key);
      return 0;
    } catch (refusal) {
      if (!(refusal instanceof RateLimiterRes)) throw refusal;
      return Math.ceil(refusal.msBeforeNext / 1_000);
    }
  }

  /** The password was right. */
  async forget(key: string): Promise<void> {
    await Promise.all([this.steady.delete(key), this.first.delete(key)]);
  }
}

/** Waits of a second or so, where a check takes some 80 ms. */
const MAX_WAITING = 8;
/** Of those, from one network. */
const MAX_WAITING_TOGETHER = 3;
/** Where people have signed in before; beyond this the oldest are forgotten. */
const MAX_KNOWN = 1_000;

/**
 * Checks passwords one after the other, so that a flood of attempts takes neither memory nor threads; few wait, the others
 * are refused at once. Those who have signed in from their network before have a lane of their own.
 */
export class SignInLanes {
  private readonly known = new Set<string>();
  private readonly lanes = { known: new Lane(), unknown: new Lane() };

  /** Runs a check in its turn. @returns undefined when there is no room, and nothing was run. */
  run<T>(network: string, name: string, check: () => Promise<T>): Promise<T> | undefined {
    return this.lanes[this.known.has(`${network} ${name}`) ? 'known' : 'unknown'].run(network, check);
  }

  remember(network: string, name: string): void {
    const who = `${network} ${name}`;
    this.known.delete(who);
    this.known.add(who);
    const [oldest = ''] = this.known;
    if (this.known.size > MAX_KNOWN) this.known.delete(oldest);
  }
}

/** One at a time; of those that wait, few from one network. */
class Lane {
  private last: Promise<unknown> = Promise.resolve();
  private readonly inside: string[] = [];

  run<T>(network: string, task: () => Promise<T>): Promise<T> | undefined {
    const together = this.inside.filter((other) => other === network).length;
    if (this.inside.length >= MAX_WAITING || together >= MAX_WAITING_TOGETHER) return undefined;
    this.inside.push(network);
    const done = this.last.then(task).finally(() => this.inside.splice(this.inside.indexOf(network), 1));
    this.last = done.catch(() => {});
    return done;
  }
}

/** Anyone who has one address of IPv6 has a whole network of 64 bits of them. */
export const networkOf = (address: string): string =>
  address.includes('.') || !address.includes(':')
    ? address
    : address.split('::')[0]!.split(':').slice(0, 4).join(':');
