/** Something that may be wrong for a while, as it is remembered from look to look. Times are milliseconds since 1970. */
export interface Condition {
  /** Whether the last thing told of it is that it is wrong. */
  told: boolean;
  /** When that was told. */
  toldAt?: number;
  /** Since when it is otherwise than was told. */
  since?: number;
  /** How many jobs waited then. */
  low?: number;
  /** When what was told as wrong began. */
  from?: number;
}

/** How it is at this moment. */
export interface Reading {
  isWrong: boolean;
  /** Jobs that wait: while they get fewer, it is not getting worse. */
  count?: number;
  /** How long it must be wrong to be told. */
  afterMs: number;
  /** The same of its end. Ten times as long nothing new is told of it, so that what comes and goes does not flood. */
  wellAfterMs: number;
}

export const REST_FACTOR = 10;

/** @returns what to remember, if anything, and what to tell, if something. */
export function follow(
  before: Condition = { told: false },
  { isWrong, count = 0, afterMs, wellAfterMs }: Reading,
  now: number,
): { condition?: Condition; news?: 'begins' | 'ends'; from?: number } {
  const { told, toldAt, from } = before;
  const rests = !told && toldAt !== undefined && now - toldAt < REST_FACTOR * wellAfterMs;
  if (isWrong === told) return told || rests ? { condition: { told, toldAt, from } } : {};
  const isNew = before.since === undefined || (isWrong && count < (before.low ?? 0));
  const [since, low] = isNew ? [now, count] : [before.since as number, before.low];
  if (rests || now - since < (isWrong ? afterMs : wellAfterMs))
    return { condition: { ...before, since, low } };
  if (isWrong) return { condition: { told: true, toldAt: now, from: since }, news: 'begins', from: since };
  return { condition: { told: false, toldAt: now }, news: 'ends', from };
}
