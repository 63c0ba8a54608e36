import { z } from 'zod';
import { jobStates } from '#records';
import { notBothTimes, whenAndWhere } from '../requests.js';

/** Payloads in one request. */
const MAX_PAYLOADS = 10_000;

export const BatchBody = z.strictObject({
  name: z.string().min(1),
  payloads: z.array(z.unknown()).max(MAX_PAYLOADS, `holds more than ${MAX_PAYLOADS}: make several batches`),
  options: z
    .strictObject(whenAndWhere)
    .refine(...notBothTimes)
    .optional(),
  onComplete: z.unknown().optional(),
  onSuccess: z.unknown().optional(),
});
export type BatchBody = z.output<typeof BatchBody>;

const time = { type: 'string', format: 'date-time' };
const orNull = (schema: Record<string, unknown>) => ({ anyOf: [schema, { type: 'null' }] });
const following = (description: string) => ({ description, $ref: '#/components/schemas/NextJob' });

/** A batch as the OpenAPI document describes it. */
export const batchSchema = {
  type: 'object',
  properties: {
    id: { type: 'string', format: 'uuid' },
    name: { type: 'string' },
    total: { type: 'integer' },
    counts: {
      type: 'object',
      properties: Object.fromEntries(jobStates.map((state) => [state, { type: 'integer' }])),
    },
    createdAt: time,
    cancelledAt: orNull(time),
    completedAt: orNull(time),
    onComplete: orNull({ type: 'string', format: 'uuid' }),
    onSuccess: orNull({ type: 'string', format: 'uuid' }),
  },
} as object;

/** The request that makes one. What a payload must look like, `POST /jobs` says. */
export const batchRequest = {
  type: 'object',
  required: ['name', 'payloads'],
  properties: {
    name: { type: 'string' },
    payloads: { type: 'array', maxItems: MAX_PAYLOADS, items: {} },
    options: {
      type: 'object',
      properties: { delay: { type: 'string', examples: ['10m'] }, runAt: time, queue: { type: 'string' } },
    },
    onComplete: following('Enqueued once, when every job has ended'),
    onSuccess: following('Enqueued once, when every job has succeeded'),
  },
} as object;
