import { randomFillSync } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';

/** 16 random bytes take as long as 4,096: some 8 µs, which was an eighth of what a job cost its producer. */
const pool = new Uint8Array(4_096);
const BYTES = 16;
let used = pool.length;
let msecs = 0;
let seq = 0;

/** Makes the id of a new job, a UUIDv7 (RFC 9562): later ones sort after earlier ones, also within a millisecond. */
export function newJobId(): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const random = pool.subarray(used, used + BYTES);
  used += BYTES;
  const now = Date.now();
  if (now > msecs) {
    msecs = now;
    // Half of the range is left to count up in.
    seq = new DataView(random.buffer, random.byteOffset).getUint32(0) >>> 1;
  } else seq++;
  return uuidv7({ random, msecs, seq });
}
