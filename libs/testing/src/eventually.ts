import { setTimeout as pause } from 'node:timers/promises';

/**
 * Waits until a condition holds: until `check` returns something truthy without throwing.
 *
 * @param within milliseconds after which the last failure is thrown.
 * @returns what `check` returned.
 */
export async function eventually<T>(check: () => Promise<T> | T, within = 30_000): Promise<NonNullable<T>> {
  const deadline = Date.now() + within;
  for (;;) {
    let failure: unknown;
    try {
      const value = await check();
      if (value) return value;
      failure = new Error(`Still ${String(value)} after ${within} ms: ${check}`);
    } catch (error) {
      failure = error;
    }
    if (Date.now() > deadline) throw failure;
    await pause(25);
  }
}
