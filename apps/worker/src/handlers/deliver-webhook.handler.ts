import { webhookHeaders } from '#common';
import { Settings } from '#config';
import { DeliverWebhook } from '#contracts';
import {
  type Handler,
  type JobContext,
  JobHandler,
  NonRetryableError,
  RetryAfterError,
  retryAfter,
} from '#jobs';
import { describeStatus, OutboundHttp, readStart } from '../outbound-http.js';

/** How much of an answer is read, so that a short one leaves its connection fit for reuse; and how much is quoted. */
const ANSWER_BYTES = 4_096;
const QUOTED_CHARACTERS = 200;
/** Bounds of what a server's Retry-After may ask for: neither a hot loop nor a job parked for weeks. */
const MIN_DELAY_MS = 1_000;
const MAX_DELAY_MS = 24 * 3_600_000;

/**
 * Delivers an event by Standard Webhooks 1.0.0. The id and the body are the same in every attempt, so a subscriber
 * can tell a repetition; the timestamp, and with it the signature, are the attempt's own.
 */
@JobHandler(DeliverWebhook, {
  rateLimit: { max: 50, per: '1s', key: ({ url }) => new URL(url).host },
})
export class DeliverWebhookHandler implements Handler<typeof DeliverWebhook> {
  constructor(
    private readonly http: OutboundHttp,
    private readonly settings: Settings,
  ) {}

  async handle({ id, payload: { url, type, data }, createdAt, signal }: JobContext<typeof DeliverWebhook>) {
    const body = JSON.stringify({ type, timestamp: createdAt.toISOString(), data });
    const response = await this.http.request(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...webhookHeaders(id, body, this.secret()) },
      body,
      signal,
    });
    const status = response.statusCode;
    const answer = await readStart(response.body, ANSWER_BYTES);
    if (status >= 200 && status < 300) return { status };
    throw failure(url, status, retryAfter(response.headers['retry-after']), answer);
  }

  private secret(): string {
    const { WEBHOOK_SECRET } = this.settings;
    if (WEBHOOK_SECRET) return WEBHOOK_SECRET;
    throw new NonRetryableError(
      'WEBHOOK_SECRET is not set, so nothing can be signed: make one with ' +
        '`echo "whsec_$(openssl rand -base64 32)"`, set it for the workers, and replay the job',
    );
  }
}

/** What an answer other than 2xx means, by Standard Webhooks' "Deliverability and reliability". */
function failure(url: string, status: number, delay: number | undefined, answer: string): Error {
  const quoted = answer.replace(/[^\p{L}\p{N}\p{P}\p{S} ]+/gu, ' ').slice(0, QUOTED_CHARACTERS);
  const message = describeStatus(url, status) + (quoted.trim() && `: ${quoted.trim()}`);
  if (status === 410) {
    return new NonRetryableError(`${message}. The subscriber is gone: stop sending to this URL`);
  }
  if ((status === 429 || status === 503) && delay !== undefined) {
    return new RetryAfterError(Math.min(MAX_DELAY_MS, Math.max(MIN_DELAY_MS, delay)), message);
  }
  return new Error(message);
}
