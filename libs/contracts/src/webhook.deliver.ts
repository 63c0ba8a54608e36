import { z } from 'zod';
import { defineJob } from '#define-job';

/** Delivers an event to a subscriber's URL, signed by Standard Webhooks. The delays grow to hours: it may be down for long. */
export const DeliverWebhook = defineJob({
  name: 'webhook.deliver',
  queue: 'webhook',
  payload: z.object({
    url: z.url({ protocol: /^https?$/ }).max(2_000),
    type: z.string().min(1).max(100),
    data: z.json(),
  }),
  result: z.object({ status: z.int() }),
  retry: ['5s', '30s', '5m', '30m', '2h', '5h'],
  timeout: '30s',
});
