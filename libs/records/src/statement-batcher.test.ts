import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { DatabaseUnavailableError } from './database.js';
import { type BatcherOptions, OverloadedError, StatementBatcher } from './statement-batcher.js';

/** A batcher whose batches end when the test says so. */
function given(options: BatcherOptions<number> = {}) {
  const batches: { items: number[]; end: (error?: unknown) => void }[] = [];
  const batcher = new StatementBatcher<number, number>(
    (items) =>
      new Promise((resolve, reject) => {
        batches.push({
          items,
          end: (error) => (error ? reject(error) : resolve(items.map((item) => item * 10))),
        });
      }),
    { concurrency: 1, batch: 3, limit: 100, ...options },
  );
  return { batcher, batches };
}
const turn = () => new Promise(setImmediate);

test('a lone item goes out at once, what comes meanwhile makes up the next batch, and each gets its own result', async () => {
  const { batcher, batches } = given();
  const first = batcher.add(1);
  await turn();
  const others = [2, 3, 4, 5].map((item) => batcher.add(item));
  await turn();
  expect(batches.map(({ items }) => items)).toEqual([[1]]);
  batches[0]!.end();
  expect(await first).toBe(10);
  await turn();
  expect(batches[1]!.items).toEqual([2, 3, 4]);
  batches[1]!.end();
  await turn();
  await turn();
  batches[2]!.end();
  expect(await Promise.all(others)).toEqual([20, 30, 40, 50]);
});

test('with a slow database several statements are under way at once, and no more', async () => {
  const { batcher, batches } = given({ concurrency: 2, batch: 1 });
  for (const item of [1, 2, 3]) void batcher.add(item);
  while (batches.length < 2) await pause(5);
  for (let n = 0; n < 5; n++) await turn();
  expect(batches.map(({ items }) => items)).toEqual([[1], [2]]);
});

test('one bad item fails nobody else', async () => {
  const batcher = new StatementBatcher<number, number>(
    async (items) => {
      if (items.includes(2)) throw new Error('bad row');
      return items;
    },
    { concurrency: 1, batch: 10, limit: 10 },
  );
  const outcomes = await Promise.allSettled([1, 2, 3].map((item) => batcher.add(item)));
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
});

test('with the database away a batch fails as one, and is not tried row by row', async () => {
  let statements = 0;
  const batcher = new StatementBatcher<number, number>(
    async () => {
      statements++;
      throw new DatabaseUnavailableError(new Error('ECONNREFUSED'));
    },
    { concurrency: 1, batch: 10, limit: 10 },
  );
  const outcomes = await Promise.allSettled([1, 2, 3].map((item) => batcher.add(item)));
  expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true);
  expect(statements).toBe(1);
});

test('P15: what waits is bounded', async () => {
  const { batcher } = given({ limit: 5 });
  void batcher.add(0);
  await turn();
  for (let item = 0; item < 5; item++) void batcher.add(item);
  await expect(batcher.add(6)).rejects.toThrow(OverloadedError);
});

test('P15: large items make small batches, and what waits is bounded by size too', async () => {
  const MiB = 1024 * 1024;
  const batches: number[][] = [];
  const batcher = new StatementBatcher<number, number>(
    (items) => {
      batches.push(items);
      return new Promise(() => {});
    },
    { concurrency: 1, sizeOf: (size) => size },
  );
  for (let item = 0; item < 10; item++) void batcher.add(MiB);
  await turn();
  expect(batches).toEqual([[MiB, MiB, MiB, MiB]]);

  void batcher.add(200 * MiB);
  await expect(batcher.add(1)).rejects.toThrow(OverloadedError);
});
