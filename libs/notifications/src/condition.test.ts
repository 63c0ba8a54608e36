import { expect, test } from '@jest/globals';
import { type Condition, follow } from './condition.js';

const times = { afterMs: 60_000, wellAfterMs: 60_000 };

/** What is told of readings that come every ten seconds: `x` is wrong, `.` is well. */
function told(readings: string, start?: Condition): string[] {
  let condition = start;
  return [...readings].flatMap((reading, index) => {
    const at = 1_000_000 + index * 10_000;
    const result = follow(condition, { isWrong: reading === 'x', ...times }, at);
    condition = result.condition;
    return result.news ? [`${result.news} after ${index * 10} s`] : [];
  });
}

test('what lasts is told once, and once again when it has been over for as long', () => {
  expect(told(`${'x'.repeat(30)}${'.'.repeat(30)}`)).toEqual(['begins after 60 s', 'ends after 360 s']);
});

test('what passes, or is over for a moment, is not told', () => {
  expect(told('xxxxx.'.repeat(50))).toEqual([]);
  expect(told(`${'x'.repeat(10)}${'.....x'.repeat(50)}`)).toEqual(['begins after 60 s']);
});

test('what comes and goes is told at most once in ten times as long', () => {
  const flapping = told(`${'x'.repeat(8)}${'.'.repeat(8)}`.repeat(60));
  // Two and a half hours, in which it began 60 times.
  expect(flapping.length).toBeGreaterThan(10);
  expect(flapping.length).toBeLessThan(28);
});

test('nothing is remembered of what has been well for long', () => {
  expect(follow({ told: false, toldAt: 0 }, { isWrong: false, ...times }, 600_001)).toEqual({});
  expect(follow({ told: false, toldAt: 0 }, { isWrong: false, ...times }, 599_999).condition).toBeDefined();
});

test('a backlog that gets shorter is not told; one that does not, is', () => {
  const news = (counts: readonly number[]) => {
    let condition: Condition | undefined;
    return counts.flatMap((count, index) => {
      const result = follow(condition, { isWrong: true, count, ...times }, 1_000_000 + index * 10_000);
      condition = result.condition;
      return result.news ?? [];
    });
  };
  expect(news(Array.from({ length: 50 }, (_, index) => 5_000 - index))).toEqual([]);
  expect(news(Array.from({ length: 50 }, (_, index) => 5_000 + (index % 3)))).toEqual(['begins']);
});
