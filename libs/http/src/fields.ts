import { z } from 'zod';
import { isStorable, UNSTORABLE } from '#records';

/** A text of a client that PostgreSQL can hold. */
export const text = (maxLength: number) =>
  z.string().max(maxLength).refine(isStorable, { error: UNSTORABLE });
