import { expect, test } from '@jest/globals';
import { validate, version } from 'uuid';
import { newJobId } from './job-id.js';

test('ids are UUIDv7, all different, and sort in the order in which they were made', () => {
  const ids = Array.from({ length: 20_000 }, newJobId);
  expect(ids.every((id) => validate(id) && version(id) === 7)).toBe(true);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.toSorted()).toEqual(ids);
  const time = Number.parseInt((ids[0] as string).replaceAll('-', '').slice(0, 12), 16);
  expect(Math.abs(Date.now() - time)).toBeLessThan(60_000);
});
