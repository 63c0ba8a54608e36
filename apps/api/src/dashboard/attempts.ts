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
