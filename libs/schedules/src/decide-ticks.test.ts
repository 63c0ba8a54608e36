import { describe, expect, test } from '@jest/globals';
import { decideTicks, dueTicks, type TickDecision } from './decide-ticks.js';
import { Ticks } from './ticks.js';

const hourly = new Ticks({ cron: '0 * * * *', timeZone: 'UTC' });
const at = (time: string) => new Date(`2026-05-01T${time}Z`);
const outcomes = (decisions: TickDecision[]) => decisions.map(({ outcome }) => outcome).join(' ');

describe('due ticks', () => {
  test('are counted from the planned one to now', () => {
    expect(dueTicks(hourly, at('03:00'), at('03:00'))).toEqual([at('03:00')]);
    expect(dueTicks(hourly, at('03:00'), at('05:59'))).toEqual([at('03:00'), at('04:00'), at('05:00')]);
    expect(dueTicks(hourly, at('03:30'), at('03:59'))).toEqual([]);
  });
  test('are at most the newest hundred', () => {
    const due = dueTicks(hourly, new Date('2026-01-01'), at('05:00'));
    expect([due.length, due.at(-1)]).toEqual([100, at('05:00')]);
  });
});

describe('missed', () => {
  const outage = [at('03:00'), at('04:00'), at('05:00')];
  test.each([
    ['skip', at('05:30'), 'missed missed missed'],
    ['once', at('05:30'), 'missed missed enqueued'],
    ['all', at('05:30'), 'enqueued enqueued enqueued'],
    // The newest tick is on time, and makes up for the others.
    ['skip', at('05:00:20'), 'missed missed enqueued'],
    ['once', at('05:00:20'), 'missed missed enqueued'],
  ] as const)('%s at %s', (missed, now, expected) => {
    expect(outcomes(decideTicks(outage, now, { missed, overlap: 'allow' }, false))).toBe(expected);
  });
  test('a short stop misses nothing, whatever the policy', () => {
    const seconds = [at('03:00:00'), at('03:00:01'), at('03:00:02')];
    const decisions = decideTicks(seconds, at('03:00:30'), { missed: 'skip', overlap: 'allow' }, false);
    expect(outcomes(decisions)).toBe('enqueued enqueued enqueued');
  });
});

describe('overlap', () => {
  const tick = [at('03:00')];
  test.each([
    ['allow', true, 'enqueued'],
    ['skip', true, 'overlapping'],
    ['skip', false, 'enqueued'],
  ] as const)('%s while the previous job runs: %s', (overlap, busy, expected) => {
    expect(outcomes(decideTicks(tick, at('03:00'), { missed: 'once', overlap }, busy))).toBe(expected);
  });
  test('skip lets the first of many through', () => {
    const decisions = decideTicks(
      [at('03:00'), at('04:00')],
      at('04:00'),
      { missed: 'all', overlap: 'skip' },
      false,
    );
    expect(outcomes(decisions)).toBe('enqueued overlapping');
  });
});
