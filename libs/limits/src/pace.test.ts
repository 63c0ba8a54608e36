import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { paceOf } from './pace.js';

describe('paceOf', () => {
  test('spaces starts evenly, a little wider than asked for', () => {
    expect(paceOf({ max: 50, per: '1s' })).toEqual({ stepMs: 21, aheadMs: 0, slackMs: 50, holdMs: 250 });
    expect(paceOf({ max: 1, per: '1m' })).toEqual({
      stepMs: 60_250,
      aheadMs: 0,
      slackMs: 250,
      holdMs: 1_000,
    });
  });

  test('no time of `per` sees more than `max` starts, however late each is within the slack', () => {
    const limits = fc
      .record({ max: fc.integer({ min: 1, max: 40 }), perMs: fc.integer({ min: 1, max: 5_000 }) })
      .chain(({ max, perMs }) =>
        fc.record({
          max: fc.constant(max),
          perMs: fc.constant(perMs),
          burst: fc.integer({ min: 1, max }),
        }),
      );
    const lateness = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 100, maxLength: 100 });
    fc.assert(
      fc.property(limits, lateness, ({ max, perMs, burst }, late) => {
        const { stepMs, aheadMs, slackMs } = paceOf({ max, per: `${perMs}ms`, burst });
        // All ask at time 0.
        const starts = late.map((part, n) => Math.max(0, n * stepMs - aheadMs) + part * slackMs);
        for (const from of starts) {
          const within = starts.filter((at) => at >= from && at < from + perMs - 1e-6);
          expect(within.length).toBeLessThanOrEqual(max);
        }
      }),
    );
  });

  test.each([
    [{ max: 0, per: '1s' }, 'rateLimit.max'],
    [{ max: 1.5, per: '1s' }, 'rateLimit.max'],
    [{ max: 1, per: '0s' }, 'rateLimit.per'],
    [{ max: 1, per: 'soon' }, 'is not a valid duration'],
    [{ max: 2, per: '1s', burst: 3 }, 'rateLimit.burst'],
  ] as const)('%j makes no sense', (limit, message) => {
    expect(() => paceOf(limit as Parameters<typeof paceOf>[0])).toThrow(message);
  });
});
