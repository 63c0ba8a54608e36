const SECONDS = /^\d{1,10}$/;
/** The date format that RFC 9110 section 5.6.7 has senders use. `Date.parse` alone would take almost anything. */
const HTTP_DATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;

/**
 * Reads a `Retry-After` header (RFC 9110 section 10.2.3).
 *
 * @param value seconds, or an HTTP date.
 * @param now milliseconds since 1970.
 * @returns milliseconds to wait, 0 for a date that has passed; undefined when there is no header or it makes no sense.
 */
export function retryAfter(value: string | string[] | undefined, now = Date.now()): number | undefined {
  const text = (Array.isArray(value) ? value[0] : value)?.trim() ?? '';
  if (SECONDS.test(text)) return Number(text) * 1_000;
  const date = HTTP_DATE.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
