import { z } from 'zod';
import { defineJob } from '#jobs';
import { measured } from './measured.contract.js';

/** The built apps get these beside those of `libs/contracts`. */
export const Measured = measured('bench.measured', 'bench');

/** Work that computes, in the worker's own thread. */
export const Computing = defineJob({
  name: 'bench.computing',
  queue: 'bench',
  payload: z.object({ ms: z.number() }),
  retry: ['5s'],
  timeout: '30s',
});
