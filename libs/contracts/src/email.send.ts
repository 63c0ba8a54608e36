import { z } from 'zod';
import { defineJob, secret } from '#define-job';

/** Sends one plain-text mail. */
export const SendEmail = defineJob({
  name: 'email.send',
  queue: 'email',
  payload: z.object({
    to: z.email(),
    subject: z.string().max(200),
    /** Secret because mails carry links that log people in. */
    text: secret(z.string()),
  }),
  result: z.object({ messageId: z.string() }),
  retry: ['5s', '30s', '2m', '10m'],
  timeout: '30s',
});
