import type { InsertedRecord, JobKey, KeyedInsert, KeyedRecord, KeyHolder, NewRecord } from './job-record.js';
import { type Queryable, rowsOf, type Statement } from './records-database.js';
import { OverloadedError } from './statement-batcher.js';
import { insertKeyed as insertIfFree, keyHolders, replaceWaiting } from './statements.js';

/** A key whose holder vanished between two statements is tried again this often. */
const KEY_TRIES = 5;

/**
 * Records jobs whose keys nobody holds, and finds out who holds the others.
 *
 * @param graceMs how long the relay leaves them to their producer.
 * @throws OverloadedError when the holder of a key vanishes again and again.
 */
export async function insertKeyed(
  queryable: Queryable,
  records: readonly KeyedRecord[],
  graceMs: number,
): Promise<KeyedInsert[]> {
  const outcomes = new Map<KeyedRecord, KeyedInsert>();
  for (let tries = 0; tries < KEY_TRIES && outcomes.size < records.length; tries++) {
    const isOpen = (record: KeyedRecord) => !outcomes.has(record);
    const debounced = records.filter((record) => isOpen(record) && record.key.debounce);
    if (debounced.length > 0)
      await heldBy(queryable, replaceWaiting(lastOfEach(debounced)), debounced, outcomes);
    const refused = await insertFree(queryable, records.filter(isOpen), graceMs, outcomes);
    // Who refused a debounced one waits for its time by now, or has started: it is tried again.
    const others = refused.filter(({ key }) => !key.debounce);
    if (others.length > 0)
      await heldBy(queryable, keyHolders(others.map(({ key }) => key)), others, outcomes);
  }
  return records.map((record) => {
    const outcome = outcomes.get(record);
    if (!outcome) throw new OverloadedError(KEY_TRIES);
    return outcome;
  });
}

/** @returns those whose keys are held. */
async function insertFree(
  queryable: Queryable,
  records: readonly KeyedRecord[],
  graceMs: number,
  outcomes: Map<KeyedRecord, KeyedInsert>,
): Promise<KeyedRecord[]> {
  // One statement takes a key once: another request that wants it finds it held.
  const first = new Map(records.toReversed().map((record) => [nameOf(record.key), record]));
  const rows = await rowsOf<{ id: string; nowMs: number }>(
    queryable,
    insertIfFree([...first.values()], graceMs),
  );
  const inserted = new Map(rows.map(({ id, nowMs }) => [id, nowMs]));
  return records.filter((record) => {
    const nowMs = inserted.get(record.id);
    if (nowMs === undefined) return true;
    outcomes.set(record, { inserted: insertedAs(record, nowMs) });
    return false;
  });
}

/** @param statement says of keys which jobs hold them. */
async function heldBy(
  queryable: Queryable,
  statement: Statement,
  records: readonly KeyedRecord[],
  outcomes: Map<KeyedRecord, KeyedInsert>,
): Promise<void> {
  const rows = await rowsOf<KeyHolder & Pick<JobKey, 'scope' | 'key'>>(queryable, statement);
  const holders = new Map(rows.map((row) => [nameOf(row), row]));
  for (const record of records) {
    const heldBy = holders.get(nameOf(record.key));
    if (heldBy) outcomes.set(record, { heldBy });
  }
}

const lastOfEach = (records: readonly KeyedRecord[]) => [
  ...new Map(records.map((record) => [nameOf(record.key), record])).values(),
];

const nameOf = ({ scope, key }: Pick<JobKey, 'scope' | 'key'>) => `${scope}\n${key}`;

/** What the insert makes of a record: to have it sent back for each would cost more than to insert it. */
export function insertedAs({ id, delayMs = 0, runAt }: NewRecord, nowMs: number): InsertedRecord {
  const runMs = Math.max(nowMs, runAt?.getTime() ?? nowMs + delayMs);
  const state = runMs > nowMs ? 'scheduled' : 'queued';
  return { id, state, createdAt: new Date(nowMs), runAt: new Date(runMs) };
}
