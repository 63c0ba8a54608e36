import { counted, type Settings } from '#config';
import type { Queue } from '#records';
import { type Condition, follow, type Reading } from './condition.js';
import { type News, type Trouble, timeOf } from './notices.js';

/** What a look has found. */
export interface Findings {
  /** By the database's clock, in milliseconds. */
  now: number;
  /** Who looks, for people. */
  who: string;
  brokerIsUp: boolean;
  /** Empty while the broker is away. */
  queues: readonly Queue[];
}

export type Conditions = Readonly<Record<string, Condition>>;

/** One thing that may be wrong. @property line says so to people, given since when. */
interface Item extends Reading {
  trouble: Trouble;
  queue?: string;
  line(from: number): string;
}

/** @returns what to remember of outages and queues, and what to tell of them. */
export function assess(
  before: Conditions,
  findings: Findings,
  settings: Settings,
): { conditions: Conditions; news: News[] } {
  const conditions = { ...before };
  const news: News[] = [];
  for (const { trouble, queue, line, ...reading } of itemsOf(before, findings, settings)) {
    const key = keyOf(trouble, queue);
    const { condition, news: what, from = 0 } = follow(before[key], reading, findings.now);
    if (condition) conditions[key] = condition;
    else delete conditions[key];
    if (what) news.push({ trouble, what, queue, line: line(from) });
  }
  return { conditions, news };
}

const keyOf = (trouble: Trouble, queue = '') => `${trouble} ${queue}`;

function itemsOf(before: Conditions, { now, who, brokerIsUp, queues }: Findings, settings: Settings): Item[] {
  const afterMs = settings.NOTIFY_AFTER;
  const times = { afterMs, wellAfterMs: afterMs };
  const broker: Item = {
    ...{ trouble: 'broker-outage', isWrong: !brokerIsUp, ...times },
    line: (from) => (brokerIsUp ? outage(who, from, now) : outage(who, from)),
  };
  // Without a broker nothing can be said of queues.
  if (!brokerIsUp) return [broker];
  // Also those that nobody knows any more: no job waits there.
  const names = Object.keys(before).flatMap((key) => key.slice(key.indexOf(' ') + 1) || []);
  const all = new Set([...queues.map(({ queue }) => queue), ...names]);
  const items = [...all].flatMap((queue): Item[] => {
    const { queued = 0, paused, consumers, advice } = queues.find((one) => one.queue === queue) ?? {};
    const waits = `${queue}: ${counted(queued, 'job waits', 'jobs wait')}`;
    const isUnserved = queued > 0 && !paused && consumers === 0;
    const unserved = isUnserved && advice ? `${queue}: ${advice}` : waits;
    const { told } = before[keyOf('backlog', queue)] ?? {};
    const many = settings.NOTIFY_BACKLOG.queues.get(queue) ?? settings.NOTIFY_BACKLOG.fallback;
    // It is told at a number of jobs, and over at half of it. What nobody takes is told as that.
    const isLong = told ? queued > many / 2 : queued >= many && !isUnserved;
    const since = (from: number) => (isLong ? `, not fewer since ${timeOf(from)}` : '');
    return [
      { trouble: 'no-worker', queue, isWrong: isUnserved, ...times, line: () => unserved },
      {
        ...{ trouble: 'backlog', queue, isWrong: isLong, count: queued },
        ...{ ...times, afterMs: settings.NOTIFY_BACKLOG_AFTER },
        line: (from) => `${waits}${since(from)}${paused ? '; it is paused' : ''}`,
      },
    ];
  });
  return [broker, ...items];
}

/** Tells people of an outage. @param to when it ended, if it has. */
export const outage = (who: string, from: number, to?: number): string =>
  to === undefined
    ? `${who} has not reached it since ${timeOf(from)}`
    : `${who} did not reach it from ${timeOf(from)} to ${timeOf(to)}`;
