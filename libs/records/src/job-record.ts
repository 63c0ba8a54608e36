import type { JobState, Priority } from '#define-job';
import type { Previous, Used } from '#resources';

/** Versions of contracts, by name. */
export type Known = Readonly<Record<string, number>>;

export interface NewRecord {
  /** A UUIDv7: ids sort by the time of their making. */
  id: string;
  name: string;
  queue: string;
  /** The payload, as JSON text. */
  payload: string;
  maxAttempts: number;
  /** Of the contract that the payload is of; 1 when absent. */
  version?: number;
  /** `normal` when absent. */
  priority?: Priority;
  /** When it may run, as milliseconds from now by the database's clock; or as a point in time. */
  delayMs?: number;
  runAt?: Date;
  batch?: string;
  /** The job that is accepted when this one succeeds, with this one's result as its `previous`. */
  next?: NextRecord;
  previous?: Previous;
  /** The context of its trace: `traceparent`, and `tracestate` behind a space if there is one. */
  traceparent?: string;
  options?: JobOptions;
  tags?: readonly string[];
  /** The ended job that it is enqueued from again. */
  rerunOf?: string;
}

/** What a job was enqueued with in place of what its contract says. */
export type JobOptions = Readonly<Record<string, unknown>>;

/** A job that will be accepted when another one succeeds; its delay counts from then. */
export type NextRecord = Omit<NewRecord, 'runAt' | 'batch' | 'previous' | 'rerunOf'>;

/** A job that is accepted when another one has ended, in whatever way. */
export type FollowingRecord = Omit<NewRecord, 'batch' | 'previous' | 'rerunOf'>;

/** A key that one job may hold at a time; a second job with it is not made. */
export interface JobKey {
  /** What the key is for and whose it is; keys of different scopes have nothing to do with each other. */
  scope: string;
  key: string;
  /** Identifies what the key was used for. */
  fingerprint?: string;
  /** How long the job holds the key, in milliseconds; and until it has ended, if `untilEnded`. */
  heldMs: number;
  untilEnded: boolean;
  /** The job holds it until it has started; a second one replaces its payload, and its time: so long from then, at most `maxMs` after the first. */
  debounce?: { delayMs: number; maxMs?: number };
}

/** A job that is accepted only if nobody holds its key. */
export interface KeyedRecord extends NewRecord {
  key: JobKey;
}

/** What became of a {@link KeyedRecord}: it was inserted, or another job holds its key. */
export type KeyedInsert =
  | { inserted: InsertedRecord; heldBy?: undefined }
  | { inserted?: undefined; heldBy: KeyHolder };

export interface KeyHolder {
  job: string;
  state: JobState;
  fingerprint: string | null;
}

export interface InsertedRecord {
  id: string;
  state: 'scheduled' | 'queued';
  createdAt: Date;
  runAt: Date;
}

export interface ClaimRequest {
  id: string;
  name: string;
  attempt: number;
  /** The message carries no payload: it is to be read from the record. */
  wantsPayload: boolean;
  /** The version that the message says its payload is of; 1 when absent. */
  version?: number;
  /** The worker runs nothing else, so it may take a job that must run exclusively. */
  exclusive?: boolean;
  /** Makes the record when there is none, for a message that did not come from our own producer. */
  record?: NewRecord;
}

export type Claim = Taken | Refused;

/** A job that a worker may run. */
export interface Taken {
  taken: true;
  state: 'running';
  /** Names this claim in everything that is written for it. */
  claim: number;
  attempt: number;
  maxAttempts: number;
  crashes: number;
  /** Its previous claim crashed. */
  rescued: boolean;
  /** For how long it could have run already, in seconds. */
  waited: number;
  /** When the job was accepted, in milliseconds since 1970. */
  createdMs: number;
  /** The payload as JSON text, when it was asked for, or the message's is of another version. */
  payload: string | null;
  /** Of the contract that the payload is of. */
  version: number;
  /** It has waited for a worker that knows it for as long as it may. */
  isHeldOver: true | null;
  /** It could not start within the time that it had for that. */
  isLate: true | null;
  previous: Previous | null;
  options: JobOptions | null;
  tags: readonly string[] | null;
  /** Another job follows when it succeeds. */
  isFollowed: true | null;
}

export interface Refused {
  taken: false;
  state: JobState | null;
  /** It may be claimed again by a worker that runs nothing else. */
  mustRunExclusively?: boolean;
  /** The record is of a job of another contract: the message does not stand for it. */
  isAnotherJob?: boolean | null;
}

export interface Postponement extends Pick<ClaimRequest, 'id' | 'name' | 'attempt' | 'record'> {
  delayMs: number;
  /** The limit that does not let it. */
  limitedBy: string;
}

export interface Settlement {
  id: string;
  claim: number;
  /** As the claim said. */
  isFollowed?: true | null;
  state: 'succeeded' | 'retrying' | 'dead' | 'queued' | 'scheduled' | 'cancelled';
  /** JSON text of the result. */
  result?: string;
  /** Of the contract that gave it, for the job that follows. */
  resultVersion?: number;
  /** Keeps the attempt, with this error as JSON text: as failed, or as crashed if it is released. */
  error?: string;
  /** The job that is accepted if it is dead. */
  onDead?: FollowingRecord;
  /** A handler has begun with it: it is in time. */
  hasStarted?: boolean;
  /** What an isolated attempt used; kept with it if it failed or succeeded. */
  used?: Used;
  /** The attempt does not count: the worker released the job, or the handler snoozed. */
  released?: boolean;
  /** Of one that is tried again: how many attempts its contract allows now. */
  maxAttempts?: number;
  /** The job waits for a worker that knows this, for so many milliseconds from its first hold on at most. */
  holdFor?: Known;
  holdMs?: number;
  /** When the job runs next, in milliseconds from now. */
  runInMs?: number;
  /** The limit that did not let the attempt start. */
  limitedBy?: string;
  /** When the relay is to publish the job unless it is marked as published before, in milliseconds from now. */
  publishInMs?: number;
}
