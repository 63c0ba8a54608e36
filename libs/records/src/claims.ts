import * as claiming from './claim-statements.js';
import type { Claim, ClaimRequest, NewRecord, Refused } from './job-record.js';
import type { RecordsDatabase, Statement } from './records-database.js';
import type { WorkerLock } from './worker-lock.js';

/** A delivery that was not claimed, and whether it could be by now. */
interface RefusalRow extends Refused {
  id: string;
  attempt: number;
  crashes: number;
  isWaiting: boolean;
  isLate: boolean;
  isCrashed: boolean;
  mustBeExclusive: boolean | null;
}

/** A job that crashed this often is not run again. The last time it ran exclusively, so no other job was the cause. */
export const MAX_CRASHES = 3;
/** Tries of a claim if another process changed the job between two statements. */
const CLAIM_TRIES = 3;

/** The part of `JobStore` that claims delivered jobs. */
export class Claims {
  /** @param insert makes the records of jobs that only their messages know. */
  constructor(
    private readonly database: RecordsDatabase,
    private readonly lock: WorkerLock,
    private readonly insert: (records: readonly NewRecord[]) => Promise<unknown>,
  ) {}

  /** Which deliveries would start if they were claimed now. */
  async lookAt(requests: ClaimRequest[]): Promise<boolean[]> {
    const worker = await this.lock.id();
    const { rows } = await this.database.query<RefusalRow>(claiming.refusals(requests, worker));
    const found = new Map(rows.map((row) => [deliveryOf(row), row]));
    return requests.map((request) => {
      const row = found.get(deliveryOf(request));
      if (!row || row.state === null) return request.record !== undefined;
      return mayStillBeTaken(row) && row.crashes < MAX_CRASHES && !row.isLate;
    });
  }

  /** Claims deliveries, each as {@link JobStore.claim} does. */
  async claimAll(requests: ClaimRequest[]): Promise<Claim[]> {
    // One statement takes a row once: of two deliveries of one job, the second is claimed after the first.
    const first = new Map<string, ClaimRequest>();
    for (const request of requests) if (!first.has(request.id)) first.set(request.id, request);
    const now = [...first.values()];
    const later = requests.filter((request) => first.get(request.id) !== request);

    let claims = await this.runClaim(now);
    const arrived = now.filter(({ id, record }) => record && claims.get(id)?.state === null);
    if (arrived.length > 0) {
      await this.insert(arrived.map(({ record }) => record as NewRecord));
      claims = new Map([...claims, ...(await this.runClaim(arrived))]);
    }
    const afterwards = later.length > 0 ? await this.claimAll(later) : [];
    return requests.map((request) =>
      first.get(request.id) === request
        ? (claims.get(request.id) as Claim)
        : (afterwards[later.indexOf(request)] as Claim),
    );
  }

  /** Takes waiting jobs, then crashed ones, and says why the others were refused. */
  private async runClaim(
    requests: readonly ClaimRequest[],
    tries = CLAIM_TRIES,
  ): Promise<Map<string, Claim>> {
    const worker = await this.lock.id();
    const claims = new Map<string, Claim>();
    const take = async (statement: Statement) => {
      const { rows } = await this.database.query<Claim & { id: string }>(statement);
      for (const row of rows) claims.set(row.id, row);
    };
    await take(claiming.claim(requests, worker));
    if (claims.size === requests.length) return claims;

    const left = requests.filter(({ id }) => !claims.has(id));
    const { rows } = await this.database.query<RefusalRow>(claiming.refusals(left, worker));
    const refused = new Map(rows.map((row) => [row.id, row]));
    const open = left.filter(({ id }) => mayStillBeTaken(refused.get(id)));
    const lost = open.filter(({ id }) => refused.get(id)?.isCrashed);
    if (lost.length > 0) await take(claiming.takeOver(lost, worker));

    // Another process took or released them between two statements.
    const raced = open.filter(({ id }) => !claims.has(id));
    const again = raced.length > 0 && tries > 1 ? await this.runClaim(raced, tries - 1) : undefined;
    for (const [id, row] of refused) {
      const refusal = { ...row, mustRunExclusively: row.isWaiting || row.isCrashed };
      if (!claims.has(id)) claims.set(id, again?.get(id) ?? refusal);
    }
    return claims;
  }
}

const mayStillBeTaken = (row?: RefusalRow) =>
  !!row && (row.isWaiting || row.isCrashed) && !row.mustBeExclusive;
const deliveryOf = ({ id, attempt }: Pick<ClaimRequest, 'id' | 'attempt'>) => `${id}/${attempt}`;
