/**
 * Waits for a promise to settle, but no longer than a time. It never throws: what the promise rejects with is the
 * concern of those who await it.
 *
 * @param ms milliseconds to wait at most; the timer does not keep the process alive.
 * @returns whether the promise settled in time.
 */
export async function settledWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, ms, false);
    timer.unref();
  });
  const settled = promise.then(
    () => true,
    () => true,
  );
  try {
    return await Promise.race([settled, late]);
  } finally {
    clearTimeout(timer);
  }
}
