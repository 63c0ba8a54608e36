import { z } from 'zod';
import { defineJob } from '#define-job';

/** Tells one of NOTIFY_WEBHOOKS something. A webhook that is away for an hour gets it afterwards; it may be away for a day. */
export const SendNotification = defineJob({
  name: 'notification.send',
  queue: 'maintenance',
  payload: z.object({
    webhook: z.int().min(1).describe('Which of NOTIFY_WEBHOOKS, by its place: its address is a secret'),
    type: z.string().min(1).max(100),
    title: z.string().min(1).max(300),
    lines: z.array(z.string().max(1_000)).max(20).default([]).describe('What it is about, one by one'),
    advice: z.string().max(1_000).optional().describe('What to do'),
    link: z.url().max(2_000).optional(),
  }),
  result: z.object({ status: z.int() }),
  retry: ['30s', '2m', '10m', '30m', '30m', '30m', '2h', '5h', '5h', '5h', '5h'],
  timeout: '30s',
});
