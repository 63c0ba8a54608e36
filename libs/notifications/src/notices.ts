import { counted } from '#config';
import type { Delivery } from './webhooks.js';

/** What is told, to whichever webhook. */
export type Notice = Omit<Delivery, 'webhook'>;

/** What can be wrong for a while, and what is said of it. */
const TROUBLES = {
  'database-outage': {
    begins: 'The database does not answer',
    ends: 'The database answers again',
    advice:
      'The api answers 503 and accepts nothing; workers keep the jobs in flight. Check the database: connections, disk, a failover in progress.',
  },
  'broker-outage': {
    begins: 'The broker takes no messages',
    ends: 'The broker takes messages again',
    advice:
      'Jobs are accepted and recorded, and are published when it is back. Check the broker: `rabbitmqctl status`, alarms, disk.',
  },
  'no-worker': {
    begins: 'No worker takes the jobs of',
    ends: 'Jobs are taken again, or none waits, of',
    advice:
      'Start a worker that serves them (WORKER_QUEUES). Where workers run, /health/ready of each names the queues that it should consume and does not.',
  },
  backlog: {
    begins: 'Jobs come faster than they are done in',
    ends: 'The backlog is done of',
    advice:
      'Look at the workers: does each run something, and since when? Add workers, or raise WORKER_PREFETCH. Resume a queue that is paused.',
  },
} as const;
export type Trouble = keyof typeof TROUBLES;

export interface News {
  trouble: Trouble;
  what: 'begins' | 'ends';
  /** The queue that it is about, if it is about one. */
  queue?: string;
  line: string;
}

/** Dead letters of one contract in one queue, with one error. */
export interface NewDead {
  queue: string;
  name: string;
  error: string;
  count: number;
  /** Of all groups, and how many groups there are. */
  total: number;
  groups: number;
}

/** Lines of a notice, and queues in its title. */
export const LINES = 10;
const NAMED = 3;

const fitting = (text: string, length = 1_000) => text.slice(0, length).toWellFormed();
const orMore = (shown: readonly string[], all: number) =>
  all > shown.length ? [...shown, `and ${all - shown.length} more`] : shown;

/** One notice for all that begins, or ends, in the same way. */
export function noticesOf(news: readonly News[]): Notice[] {
  return Object.entries(TROUBLES).flatMap(([trouble, texts]) =>
    (['begins', 'ends'] as const).flatMap((what) => {
      const those = news.filter((one) => one.trouble === trouble && one.what === what);
      if (those.length === 0) return [];
      const named = those.slice(0, NAMED).flatMap(({ queue }) => queue ?? []);
      const lines = those.slice(0, LINES).map(({ line }) => fitting(line));
      const title =
        named.length > 0 ? `${texts[what]} ${orMore(named, those.length).join(', ')}` : texts[what];
      return {
        type: what === 'begins' ? trouble : `${trouble}-over`,
        title: fitting(title, 300),
        lines: [...orMore(lines, those.length)],
        ...(what === 'begins' && { advice: texts.advice }),
      };
    }),
  );
}

/** @param groups the largest ones, at least one. */
export function noticeOfDead(groups: readonly [NewDead, ...NewDead[]]): Notice {
  const [{ total, groups: all }] = groups;
  const lines = groups.map(({ queue, name, error, count }) =>
    fitting(`${counted(count, 'job')} ${name} in ${queue}: ${error || 'without an error'}`),
  );
  return {
    type: 'dead-letters',
    title: `${counted(total, 'new dead letter')}, with ${counted(all, 'error')}`,
    lines: [...orMore(lines, all)],
    advice: 'They are not tried again. Fix the cause, then replay or discard them.',
  };
}

/** `2026-01-02 03:04:05 UTC` */
export const timeOf = (at: number) => `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
