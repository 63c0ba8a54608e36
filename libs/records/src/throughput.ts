import { type BeforeApplicationShutdown, Injectable } from '@nestjs/common';
import type { JobState } from '#define-job';
import { columns } from './columns.js';
import { RecordsDatabase } from './records-database.js';

/** How often a worker adds what it counted; killed, it takes the counts of this time with it. */
const WRITE_EVERY_MS = 5_000;

/** What is counted is kept for two lengths of time, so that looking back over a week reads no more than over an hour. */
export const MINUTE_S = 60;
const QUARTER_S = 900;

/** What an attempt can leave a job as: done, to be tried again, given up, stopped. */
export const outcomes = ['succeeded', 'retrying', 'dead', 'cancelled'] as const;
export type AttemptOutcome = (typeof outcomes)[number];

/** How many attempts ended how, by some part of time or by queue. */
export type OutcomeCounts = Record<AttemptOutcome, number>;

interface Counted {
  outcome: AttemptOutcome;
  count: number;
}

/** How many attempts ended how, by the minute: counted in the process and written every few seconds, at no cost for a job. */
@Injectable()
export class Throughput implements BeforeApplicationShutdown {
  private counts = new Map<string, { queue: string; outcome: AttemptOutcome; count: number }>();
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly database: RecordsDatabase) {}

  /** Counts an attempt by the state that it left its job in; null and states that tell no outcome are not counted. */
  note(queue: string, state: JobState | null): void {
    const outcome = outcomes.find((outcome) => outcome === state);
    if (!outcome) return;
    const key = `${outcome} ${queue}`;
    const entry = this.counts.get(key) ?? { queue, outcome, count: 0 };
    this.counts.set(key, entry);
    entry.count++;
    this.timer ??= setTimeout(() => void this.write(), WRITE_EVERY_MS).unref();
  }

  /** Nest calls it when no more jobs run and the database still stands. */
  async beforeApplicationShutdown(): Promise<void> {
    clearTimeout(this.timer);
    await this.write();
  }

  /**
   * The tallies of a stretch of time up to now, oldest first, one for each step of it.
   *
   * @param steps how many. @param stepS how long each is, in seconds: a minute, or quarters of an hour.
   */
  async since(steps: number, stepS: number): Promise<(OutcomeCounts & { at: Date })[]> {
    const { rows } = await this.database.query<Counted & { step: number; last: number }>({
      text: `
        with clock as (select floor(extract(epoch from now()) / $2)::int as last)
        select c.last, t.step, t.outcome, t.count from clock c left join (
          select floor(extract(epoch from at) / $2)::int as step, outcome, sum(count)::int as count from throughput
          where step_s = $3 and at > now() - $1 * $2 * interval '1 second' group by 1, 2
        ) t on true`,
      values: [steps, stepS, stepS % QUARTER_S === 0 ? QUARTER_S : MINUTE_S],
    });
    const first = (rows[0]?.last ?? 0) - steps + 1;
    const tallies = Array.from({ length: steps }, (_, index) => ({
      ...noOutcomes(),
      at: new Date((first + index) * stepS * 1_000),
    }));
    for (const { step, outcome, count } of rows) {
      const tally = tallies[step - first];
      if (tally && outcome) tally[outcome] = count;
    }
    return tallies;
  }

  /** The tallies of each queue over the last hour. */
  async ofLastHour(): Promise<Map<string, OutcomeCounts>> {
    const { rows } = await this.database.query<Counted & { queue: string }>({
      text: `
        select queue, outcome, sum(count)::int as count from throughput
        where step_s = ${MINUTE_S} and at > now() - interval '1 hour' group by 1, 2`,
    });
    const tallies = new Map<string, OutcomeCounts>();
    for (const { queue, outcome, count } of rows) {
      const tally = tallies.get(queue) ?? noOutcomes();
      tallies.set(queue, tally);
      tally[outcome] = count;
    }
    return tallies;
  }

  private async write(): Promise<void> {
    this.timer = undefined;
    const counts = [...this.counts.values()];
    this.counts = new Map();
    if (counts.length === 0) return;
    await this.database
      .query({
        name: 'throughput-add',
        text: `
          insert into throughput as t (step_s, at, queue, outcome, count)
          select s.s, to_timestamp(floor(extract(epoch from now()) / s.s) * s.s), c.queue, c.outcome, c.count
          from unnest($1::text[], $2::text[], $3::int[]) as c (queue, outcome, count),
            (values (${MINUTE_S}), (${QUARTER_S})) as s (s)
          order by s.s, c.queue, c.outcome
          on conflict (step_s, at, queue, outcome) do update set count = t.count + excluded.count`,
        values: columns(counts, 'queue', 'outcome', 'count'),
      })
      // For looking at only: what a database that is away does not take is not worth keeping.
      .catch(() => {});
  }
}

const noOutcomes = (): OutcomeCounts => ({ succeeded: 0, retrying: 0, dead: 0, cancelled: 0 });
