import { z } from 'zod';
import { type Duration, toMilliseconds } from '#define-job';

// What settings are made of: each reads the text of an environment variable.

/** A step of a schema that reads with a function; the message of what it throws says what is wrong. */
export const readBy =
  <Given, Read>(read: (given: Given) => Read) =>
  (given: Given, context: z.RefinementCtx): Read => {
    try {
      return read(given);
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as Error).message });
      return z.NEVER;
    }
  };
export const list = z.string().transform((text) =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean),
);
export const port = z.coerce.number().int().min(0).max(65_535);
export const count = z.coerce.number().int().min(1);
export const milliseconds = z.string().transform(readBy((text) => toMilliseconds(text as Duration)));
/** `20,image=2` gives 20 for every queue but `image`. @param fallback for the others when none is named. */
export const perQueue = (fallback: number, max: number) =>
  list.transform(
    readBy((entries) => {
      const limits = { fallback, queues: new Map<string, number>() };
      for (const entry of entries) {
        const [, queue, digits] = /^(?:([a-z0-9._-]+)=)?([1-9]\d{0,8})$/.exec(entry) ?? [];
        if (!digits || Number(digits) > max)
          throw new Error(`"${entry}" is neither 1 to ${max} nor name=1 to ${max}`);
        if (queue) limits.queues.set(queue, Number(digits));
        else limits.fallback = Number(digits);
      }
      return limits;
    }),
  );
/** Of Standard Webhooks. */
export const signingSecret = z
  .string()
  .regex(/^whsec_[A-Za-z0-9+/]{32,88}={0,2}$/, 'must be whsec_ and 24 to 64 bytes in base64');
