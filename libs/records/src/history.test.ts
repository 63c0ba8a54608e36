import { expect, test } from '@jest/globals';
import { type HistoryRow, historyOf, isAfter } from './history.js';
import type { StoredAttempt } from './job-queries.js';

const at = (second: number) => new Date(second * 1_000);
const fresh: HistoryRow = {
  state: 'queued',
  attempt: 0,
  claim: 0,
  attempts: [],
  created_at: at(0),
  run_at: at(0),
  started_at: null,
  finished_at: null,
};
const ran = (attempt: number, claim: number, outcome: StoredAttempt['outcome']): StoredAttempt => ({
  ...{
    attempt,
    claim,
    outcome,
    worker: 'w',
    startedAt: at(1).toISOString(),
    finishedAt: at(2).toISOString(),
  },
  error: outcome === 'crashed' ? null : { message: 'no', class: 'Error', stack: null },
});

test('times have one form, however PostgreSQL has written them', () => {
  const attempt = { ...ran(1, 1, 'failed'), finishedAt: '2026-03-01T12:00:00.123456+02:00' };
  const changes = historyOf({ ...fresh, state: 'retrying', attempt: 1, claim: 1, attempts: [attempt] });
  expect(changes.at(-1)?.at).toBe('2026-03-01T10:00:00.123Z');
});

test.each<[string, Partial<HistoryRow>, string[]]>([
  ['waits', {}, ['0.queued']],
  ['waits for its time', { state: 'scheduled', run_at: at(9) }, ['0.scheduled']],
  ['has waited for it', { run_at: at(9) }, ['0.scheduled', '0.queued']],
  ['runs', { state: 'running', attempt: 1, claim: 1 }, ['0.queued', '1.running']],
  ['has succeeded', { state: 'succeeded', attempt: 1, claim: 1 }, ['0.queued', '1.running', '1.succeeded']],
  ['was cancelled', { state: 'cancelled' }, ['0.queued', '0.cancelled']],
  [
    'failed and waits',
    { state: 'retrying', attempt: 1, claim: 1, attempts: [ran(1, 1, 'failed')] },
    ['0.queued', '1.running', '1.retrying'],
  ],
  [
    'failed, waited and was cancelled',
    { state: 'cancelled', attempt: 1, claim: 1, attempts: [ran(1, 1, 'failed')] },
    ['0.queued', '1.running', '1.retrying', '1.cancelled'],
  ],
  [
    'was lost, ran again elsewhere and was put off',
    { state: 'scheduled', attempt: 0, claim: 2, attempts: [ran(1, 1, 'crashed')] },
    ['0.queued', '1.running', '2.scheduled'],
  ],
  [
    'was cancelled while it ran for the second time',
    {
      ...{ state: 'cancelled', attempt: 2, claim: 2 },
      attempts: [ran(1, 1, 'failed'), ran(2, 2, 'cancelled')],
    },
    ['0.queued', '1.running', '1.retrying', '2.running', '2.cancelled'],
  ],
  [
    'died',
    { state: 'dead', attempt: 2, claim: 2, attempts: [ran(1, 1, 'failed'), ran(2, 2, 'failed')] },
    ['0.queued', '1.running', '1.retrying', '2.running', '2.dead'],
  ],
  [
    'died and was discarded',
    { state: 'discarded', attempt: 1, claim: 1, attempts: [ran(1, 1, 'failed')] },
    ['0.queued', '1.running', '1.dead', '1.discarded'],
  ],
  [
    'died, was replayed and waits',
    { attempt: 0, claim: 2, attempts: [ran(1, 1, 'failed')] },
    ['0.queued', '1.running', '1.dead', '2.queued'],
  ],
  [
    'died, was replayed among many and waits for its turn',
    { state: 'scheduled', attempt: 0, claim: 2, attempts: [ran(1, 1, 'failed')] },
    ['0.queued', '1.running', '1.dead', '2.scheduled'],
  ],
  [
    'died, was replayed and runs',
    { state: 'running', attempt: 1, claim: 3, attempts: [ran(1, 1, 'failed')] },
    ['0.queued', '1.running', '1.dead', '1.queued', '3.running'],
  ],
  [
    'died, was replayed, failed and has succeeded',
    {
      ...{ state: 'succeeded', attempt: 2, claim: 4 },
      attempts: [ran(1, 1, 'failed'), ran(2, 2, 'failed'), ran(1, 3, 'failed')],
    },
    [
      ...['0.queued', '1.running', '1.retrying', '2.running', '2.dead', '2.queued'],
      ...['3.running', '3.retrying', '4.running', '4.succeeded'],
    ],
  ],
  [
    'was given up by the broker',
    { state: 'dead', attempts: [{ ...ran(1, 0, 'crashed'), claim: undefined }] },
    ['0.queued', '0.dead'],
  ],
])('a job that %s', (_, row, ids) => {
  const history = historyOf({ ...fresh, ...row });
  expect(history.map(({ id }) => id)).toEqual(ids);
});

test('progress lies between the start of a run and its end; what is not an id lies nowhere', () => {
  const ids = [
    '0.scheduled',
    '0.queued',
    '1.running',
    '1.progress.0.5',
    '1.retrying',
    '2.running',
    '10.dead',
  ];
  for (const [index, id] of ids.entries()) {
    expect(ids.filter((other) => isAfter(other, id))).toEqual(ids.slice(index + 1));
    for (const nonsense of ['', 'x', '1.', '1.flying', '-1.running'])
      expect(isAfter(id, nonsense)).toBe(false);
  }
});
