/** Stops what the global setup started; it runs in the same process. */
export default async function globalTeardown() {
  await globalThis.warrenDropTemplate?.();
  await globalThis.warrenTestServices?.stop();
}
