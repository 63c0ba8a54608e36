import { describe, expect, test } from '@jest/globals';
import { Ticks } from './ticks.js';

/** The next ticks on the clock of a zone: `03-29 03:00`. */
function ticks(cron: string, timeZone: string, from: string, shownIn = timeZone): string[] {
  const clock = new Intl.DateTimeFormat('sv-SE', {
    timeZone: shownIn,
    dateStyle: 'short',
    timeStyle: 'short',
  });
  return new Ticks({ cron, timeZone }).next(3, new Date(from)).map((tick) => clock.format(tick).slice(5));
}

/** Spring: cron, zone, from, ticks on the zone's own clock. */
const gaps: [string, string, string, string[]][] = [
  // Berlin, 29 March 2026: after 01:59 comes 03:00.
  ['30 2 * * *', 'Europe/Berlin', '2026-03-27T12:00Z', ['03-28 02:30', '03-29 03:00', '03-30 02:30']],
  ['0 2 * * *', 'Europe/Berlin', '2026-03-27T12:00Z', ['03-28 02:00', '03-29 03:00', '03-30 02:00']],
  ['0 1,2,3 * * *', 'Europe/Berlin', '2026-03-28T12:00Z', ['03-29 01:00', '03-29 03:00', '03-30 01:00']],
  ['*/15 * * * *', 'Europe/Berlin', '2026-03-29T00:40Z', ['03-29 01:45', '03-29 03:00', '03-29 03:15']],
  ['0 */2 * * *', 'Europe/Berlin', '2026-03-28T22:30Z', ['03-29 00:00', '03-29 04:00', '03-29 06:00']],
  // New York, 8 March 2026: after 01:59 comes 03:00.
  ['30 2 * * *', 'America/New_York', '2026-03-07T12:00Z', ['03-08 03:00', '03-09 02:30', '03-10 02:30']],
  ['*/30 * * * *', 'America/New_York', '2026-03-08T06:00Z', ['03-08 01:30', '03-08 03:00', '03-08 03:30']],
  // Cairo, Friday 24 April 2026: the day begins at 01:00.
  ['0 0 * * *', 'Africa/Cairo', '2026-04-22T23:00Z', ['04-24 01:00', '04-25 00:00', '04-26 00:00']],
  ['30 0 * * *', 'Africa/Cairo', '2026-04-22T23:00Z', ['04-24 01:00', '04-25 00:30', '04-26 00:30']],
  ['0 12 * * *', 'Africa/Cairo', '2026-04-22T23:00Z', ['04-23 12:00', '04-24 12:00', '04-25 12:00']],
  ['0 0 * * FRI', 'Africa/Cairo', '2026-04-16T12:00Z', ['04-17 00:00', '04-24 01:00', '05-01 00:00']],
  // Lord Howe, 4 October 2026: after 01:59 comes 02:30.
  ['15 2 * * *', 'Australia/Lord_Howe', '2026-10-02T12:00Z', ['10-03 02:15', '10-04 02:30', '10-05 02:15']],
  ['*/15 * * * *', 'Australia/Lord_Howe', '2026-10-03T15:00Z', ['10-04 01:45', '10-04 02:30', '10-04 02:45']],
];

/** Autumn: the same with ticks in UTC, which tell the first 02:30 of the day from the second. */
const overlaps: [string, string, string, string[]][] = [
  // Berlin, 25 October 2026: 02:00 to 02:59 comes at 00:00Z and again at 01:00Z.
  ['30 2 * * *', 'Europe/Berlin', '2026-10-24T12:00Z', ['10-25 00:30', '10-26 01:30', '10-27 01:30']],
  ['0,30 2 * * *', 'Europe/Berlin', '2026-10-24T12:00Z', ['10-25 00:00', '10-25 00:30', '10-26 01:00']],
  ['0 * * * *', 'Europe/Berlin', '2026-10-24T23:30Z', ['10-25 00:00', '10-25 01:00', '10-25 02:00']],
  ['*/30 * * * *', 'Europe/Berlin', '2026-10-25T00:10Z', ['10-25 00:30', '10-25 01:00', '10-25 01:30']],
  // New York, 1 November 2026: 01:00 to 01:59 comes at 05:00Z and again at 06:00Z.
  ['30 1 * * *', 'America/New_York', '2026-10-31T12:00Z', ['11-01 05:30', '11-02 06:30', '11-03 06:30']],
  ['30 * * * *', 'America/New_York', '2026-11-01T05:00Z', ['11-01 05:30', '11-01 06:30', '11-01 07:30']],
  // Cairo, 29 October 2026: 23:00 to 23:59 comes at 20:00Z and again at 21:00Z.
  ['30 23 * * *', 'Africa/Cairo', '2026-10-29T12:00Z', ['10-29 20:30', '10-30 21:30', '10-31 21:30']],
  ['0 0 * * *', 'Africa/Cairo', '2026-10-29T12:00Z', ['10-29 22:00', '10-30 22:00', '10-31 22:00']],
  // Lord Howe, 5 April 2026: 01:30 to 01:59 comes at 14:30Z and again at 15:00Z.
  ['45 1 * * *', 'Australia/Lord_Howe', '2026-04-04T12:00Z', ['04-04 14:45', '04-05 15:15', '04-06 15:15']],
  ['45 * * * *', 'Australia/Lord_Howe', '2026-04-04T14:00Z', ['04-04 14:45', '04-04 15:15', '04-04 16:15']],
];

describe('P11: where clocks go forward', () => {
  test.each(gaps)('%s in %s from %s', (cron, zone, from, expected) => {
    expect(ticks(cron, zone, from)).toEqual(expected);
  });
});
describe('P11: where clocks go back', () => {
  test.each(overlaps)('%s in %s from %s', (cron, zone, from, expected) => {
    expect(ticks(cron, zone, from, 'UTC')).toEqual(expected);
  });
});

describe('days', () => {
  test.each<[string, string, string, string[]]>([
    ['29 February', '0 0 29 2 *', '2025-01-01', ['2028-02-29', '2032-02-29', '2036-02-29']],
    ['29 February around 2100, no leap year', '0 0 29 2 *', '2096-03-01', ['2104-02-29', '2108-02-29']],
    ['the 31st', '0 0 31 * *', '2026-01-31', ['2026-03-31', '2026-05-31', '2026-07-31']],
    ['the last of the month', '0 0 L * *', '2026-01-31', ['2026-02-28', '2026-03-31', '2026-04-30']],
    ['the 13th, and each Friday', '0 0 13 * FRI', '2026-02-27', ['2026-03-06', '2026-03-13', '2026-03-20']],
    ['the 13th, and each Sunday', '0 0 13 * 7', '2026-04-05', ['2026-04-12', '2026-04-13', '2026-04-19']],
    ['each Friday the 13th', '0 0 13 * +FRI', '2026-02-01', ['2026-02-13', '2026-03-13', '2026-11-13']],
  ])('%s: %s', (_, cron, from, expected) => {
    const found = new Ticks({ cron, timeZone: 'UTC' }).next(expected.length, new Date(from));
    expect(found.map((tick) => tick.toISOString().slice(0, 10))).toEqual(expected);
  });
});

test('looking back finds what looking ahead found, both ends included', () => {
  for (const [cron, timeZone, from] of [...gaps, ...overlaps]) {
    const all = new Ticks({ cron, timeZone });
    const ahead = all.next(12, new Date(from));
    expect(all.newest(100, ahead[0]!, ahead[11]!)).toEqual(ahead);
    expect(all.newest(3, ahead[0]!, ahead[11]!)).toEqual(ahead.slice(-3));
  }
});

describe('refuses', () => {
  test.each([
    ['an unknown zone', '* * * * *', 'Europe/Berln', /timeZone "Europe\/Berln" is unknown/],
    ['an offset', '* * * * *', '+02:00', /use an IANA name/],
    ['no zone', '* * * * *', '', /use an IANA name/],
    ['no expression', '', 'UTC', /must have five fields/],
    ['four fields', '* * * *', 'UTC', /must have five fields/],
    ['words', 'every day', 'UTC', /must have five fields/],
    ['a date', '2027-01-01T00:00:00', 'UTC', /must have five fields/],
    ['a field for years', '0 0 0 1 1 * 2027', 'UTC', /must have five fields/],
    ['a very long expression', `${'1,'.repeat(500)}1 * * * *`, 'UTC', /must have five fields/],
    ['minute 61', '61 * * * *', 'UTC', /minute: 61/],
    ['a range that runs backwards', '0 5-1 * * *', 'UTC', /larger/],
    ['a step of nothing', '*/0 * * * *', 'UTC', /stepping/],
    ['an unknown nickname', '@fortnightly', 'UTC', /cannot be used/],
    ['a day that never comes', '0 0 31 2 *', 'UTC', /never fires/],
  ])('%s', (_, cron, timeZone, message) => {
    expect(() => new Ticks({ cron, timeZone })).toThrow(message);
  });
});
