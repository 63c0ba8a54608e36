import autocannon from 'autocannon';

/** What a stream of requests met. Latencies in milliseconds. */
export interface Load {
  perSecond: number;
  p50: number;
  p99: number;
}

/**
 * Sends the same POST over and over.
 *
 * @param rate requests a second; as many as the server takes when absent.
 * @throws Error when any answer is not 2xx.
 */
export async function load(
  url: string,
  body: unknown,
  { connections, seconds, rate }: { connections: number; seconds: number; rate?: number },
): Promise<Load> {
  const { errors, timeouts, non2xx, latency, ...result } = await autocannon({
    url,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    connections,
    duration: seconds,
    overallRate: rate,
  });
  if (errors + timeouts + non2xx > 0)
    throw new Error(`${url}: ${errors} errors, ${timeouts} time-outs, ${non2xx} answers other than 2xx`);
  return { perSecond: result['2xx'] / result.duration, p50: latency.p50, p99: latency.p99 };
}
