import { createHmac } from 'node:crypto';

/**
 * The headers of a webhook by Standard Webhooks 1.0.0, signed as of now.
 *
 * @param id the same in every attempt. @param body the very bytes sent. @param secret `whsec_` and the key in base64.
 */
export function webhookHeaders(id: string, body: string, secret: string): Record<string, string> {
  const timestamp = String(Math.floor(Date.now() / 1_000));
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` };
}
