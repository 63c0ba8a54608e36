/** Nobody holds a request open for longer, whatever the client prefers: proxies give up after a minute or so. */
const MAX_WAIT_S = 30;

export const APPLIED_HEADER = 'preference-applied';

/**
 * Reads `Prefer: wait=N` (RFC 7240), among whatever other preferences. What makes no sense is ignored, as the RFC asks.
 *
 * @returns how long to wait for the result, in milliseconds; undefined when no wait is preferred.
 */
export function preferredWaitMs(header: string | undefined): number | undefined {
  const [, seconds] = /(?:^|,)\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:;[^,]*)?(?=,|$)/i.exec(header ?? '') ?? [];
  return seconds === undefined ? undefined : Math.min(Number(seconds), MAX_WAIT_S) * 1_000;
}
