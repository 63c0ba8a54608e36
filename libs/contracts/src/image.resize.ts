import { z } from 'zod';
import { defineJob } from '#define-job';

/** Makes smaller copies of a picture, one for each width. */
export const ResizeImage = defineJob({
  name: 'image.resize',
  queue: 'image',
  payload: z.object({
    /** A path within `FILES_DIR`, or an http(s) URL. */
    source: z.string().min(1).max(2_000),
    widths: z.array(z.int().min(1).max(8_000)).min(1).max(10),
    format: z.enum(['jpeg', 'png', 'webp', 'avif']).default('webp'),
  }),
  result: z.object({
    files: z.array(z.object({ path: z.string(), width: z.int(), height: z.int(), bytes: z.int() })),
  }),
  retry: ['5s', '1m'],
  timeout: '2m',
});
