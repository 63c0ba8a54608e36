/**
 * Waits for a promise, but no longer than a time. What the promise rejects with after that harms nothing.
 *
 * @param ms milliseconds to wait at most; the timer does not keep the process alive.
 * @param onLate gives what is returned, or throws, when the time is over first.
 */
export async function withTimeout<T, Late>(
  promise: Promise<T>,
  ms: number,
  onLate: () => Late,
): Promise<T | Late> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms).unref();
  });
  try {
    return await Promise.race([promise, late.then(onLate)]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits for a promise to settle, but no longer than a time. It never throws. @returns whether it settled in time. */
export function settledWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  const settled = promise.then(
    () => true,
    () => true,
  );
  return withTimeout(settled, ms, () => false);
}
