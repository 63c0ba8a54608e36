import { Injectable } from '@nestjs/common';
import { columns } from './columns.js';
import { formOf } from './error-form.js';
import { PRODUCER_GRACE_MS } from './job-store.js';
import { RecordsDatabase, type Statement } from './records-database.js';
import { StatementBatcher } from './statement-batcher.js';

/** A message as its sender published it. */
export interface ReceivedMessage {
  routingKey: string;
  /** Its AMQP properties, without headers. */
  properties: Record<string, unknown>;
  headers: Record<string, unknown>;
  body: Buffer;
}

/** A message that no job can be made of, as it becomes a dead letter. */
export interface UnprocessableMessage extends ReceivedMessage {
  /** The id that its sender gave it, or one of its own. */
  id: string;
  /** Its id if another job has that one. */
  otherId: string;
  /** The broker delivers it for the second time: it may be recorded already. */
  isRedelivered: boolean;
  name: string;
  /** The work queue that it came from; `jobs.unroutable` for what no queue took. */
  queue: string;
  /** The version that it says its payload is of, if that can be one. */
  version: number | undefined;
  /** The body as JSON text, if it is that. */
  payload: string | null;
  /** Why no job can be made of it, as JSON text. */
  error: string;
  /** Of body and type. */
  digest: string;
}

export interface DeadRecord {
  id: string;
  claim: number;
  attempt: number;
  /** It was not recorded before, or is dead again. */
  isNew: boolean;
}

export interface StoredMessage extends ReceivedMessage {
  /** Bytes of its body, of which there may be only the beginning. */
  size: number;
}

/** Reads what was kept of properties or headers, with the bytes that JSON writes as lists of numbers. */
export const readKept = (json: string): Record<string, unknown> =>
  JSON.parse(json, (_, value) =>
    value?.type === 'Buffer' && Array.isArray(value.data) ? Buffer.from(value.data) : value,
  );

/** Of longer bodies only the beginning is read to be shown. */
const READ_BYTES = 1024 * 1024;

/**
 * Messages that no job can be made of: unreadable, of an unknown contract, too long, or unroutable. Each is a dead job, so
 * that it is listed, replayed and discarded like any other, with what was received beside it.
 */
@Injectable()
export class UnprocessableMessages {
  private readonly messages: StatementBatcher<UnprocessableMessage, DeadRecord>;

  constructor(private readonly database: RecordsDatabase) {
    this.messages = new StatementBatcher((messages) => this.recordAll(messages), {
      sizeOf: ({ body, payload }) => body.length + (payload?.length ?? 0),
    });
  }

  /**
   * Records a message as a dead letter. Once this resolves it cannot be lost. The same message is recorded once,
   * however often it is delivered; a job that has its id by chance or design is left alone.
   *
   * @throws DatabaseUnavailableError, OverloadedError: it is not known to be recorded.
   */
  record(message: UnprocessableMessage): Promise<DeadRecord> {
    return this.messages.add(message);
  }

  /** The message that a job was made of, if it is one that was unprocessable. */
  async find(id: string): Promise<StoredMessage | undefined> {
    const { rows } = await this.database.query<StoredMessage>({
      name: 'unprocessable-message',
      text: `
        select m.routing_key as "routingKey", m.properties, m.headers,
          case when octet_length(m.body) > $2 then substring(m.body for 8192) else m.body end as body,
          octet_length(m.body) as size
        from unprocessable_messages m where m.job = $1`,
      values: [id, READ_BYTES],
    });
    return rows[0];
  }

  async bodyOf(id: string): Promise<Buffer> {
    const { rows } = await this.database.query<{ body: Buffer }>({
      name: 'unprocessable-body',
      text: 'select body from unprocessable_messages where job = $1',
      values: [id],
    });
    return rows[0]?.body ?? Buffer.alloc(0);
  }

  private async recordAll(messages: UnprocessableMessage[]): Promise<DeadRecord[]> {
    const known = await this.findRedelivered(messages.filter(({ isRedelivered }) => isRedelivered));
    const open = messages.filter((message) => !known.has(message));
    // One statement takes an id once. Anyone who finds it taken by another message gets an id of its own.
    const first = new Map(open.toReversed().map((message) => [message.id, message]));
    const recorded = await this.insert([...first.values()]);
    const isRecorded = ({ id, digest }: UnprocessableMessage) =>
      recorded.has(id) && first.get(id)?.digest === digest;
    const others = open.filter((message) => !isRecorded(message));
    const elsewhere = await this.insert(others.map((message) => ({ ...message, id: message.otherId })));
    return messages.map(
      (message) =>
        (known.get(message) ??
          (isRecorded(message) ? recorded.get(message.id) : elsewhere.get(message.otherId))) as DeadRecord,
    );
  }

  /** Those that a worker recorded before it died or lost its connection, which is why they are delivered again. */
  private async findRedelivered(
    messages: UnprocessableMessage[],
  ): Promise<Map<UnprocessableMessage, DeadRecord>> {
    if (messages.length === 0) return new Map();
    const { rows } = await this.database.query<DeadRecord & { position: number }>(redelivered(messages));
    return new Map(
      rows.map(({ position, ...record }) => [messages[position - 1] as UnprocessableMessage, record]),
    );
  }

  private async insert(messages: UnprocessableMessage[]): Promise<Map<string, DeadRecord>> {
    if (messages.length === 0) return new Map();
    const { rows } = await this.database.query<DeadRecord>(insert(messages));
    return new Map(rows.map((row) => [row.id, row]));
  }
}

/**
 * Finds records of messages that were recorded and not acknowledged, one for each. A message without an id of its own is
 * known by its digest: each such record is found once (the new claim number), and only until its copy is published.
 */
const redelivered = (messages: readonly UnprocessableMessage[]): Statement => ({
  name: 'redelivered-messages',
  text: `
    with given as (
      select position, queue, digest, case when not exists (
          select from jobs o where o.id = g.id and not exists (select from unprocessable_messages where job = o.id)
        ) then g.id end as id
      from unnest($1::text[], $2::text[], $3::uuid[]) with ordinality as g (queue, digest, id, position)
    ), m as (
      select *, row_number() over (partition by queue, digest, id order by position) as place from given
    ), known as (
      select j.id, j.queue, u.digest, row_number() over (partition by j.queue, u.digest order by j.id) as place
      from unprocessable_messages u join jobs j on j.id = u.job
      where u.digest = any ($2) and j.state = 'dead' and j.publish_at is not null and j.claim = 0
    )
    update jobs j set claim = j.claim + 1
    from m join known k on k.queue = m.queue and k.digest = m.digest
      and (k.id = m.id or m.id is null and k.place = m.place)
    where j.id = k.id and j.state = 'dead' and j.claim = 0
    returning m.position::int, j.id, j.claim, j.attempt, false as "isNew"`,
  values: [
    ...columns(messages, 'queue', 'digest'),
    messages.map(({ id, otherId }) => (id === otherId ? null : id)),
  ],
});

/**
 * Inserts dead jobs with their messages. A replayed one that was no better this time is dead once more, in the same
 * record. The bodies go as one parameter, which the driver sends as they are.
 *
 * @returns those that it has written, and those that were written before; not those whose id belongs to another job.
 */
const insert = (messages: readonly UnprocessableMessage[]): Statement => {
  let end = 0;
  const starts = messages.map(({ body }) => {
    const start = end + 1;
    end += body.length;
    return start;
  });
  return {
    name: 'insert-unprocessable',
    text: `
      with m as (
        select * from unnest($1::uuid[], $2::text[], $3::text[], $4::json[], $5::jsonb[], $6::text[], $7::text[],
          $8::json[], $9::json[], $10::int[], $11::int[], $14::int[])
          as m (id, name, queue, payload, error, digest, routing_key, properties, headers, start, size, version)
      ), written as (
        insert into jobs as j
          (id, name, queue, payload, version, max_attempts, state, attempt, run_at, finished_at, publish_at, error_form,
           attempts)
        select id, name, queue, payload, coalesce(version, 1), 1, 'dead', 1, now(), now(), now() + $13 * interval '1 millisecond',
          ${formOf(`error ->> 'message'`)},
          jsonb_build_array(jsonb_build_object('attempt', 1, 'outcome', 'failed', 'error', error, 'worker', null,
            'startedAt', null, 'finishedAt', now()))
        from m
        on conflict (id) do update
        set state = 'dead', queue = excluded.queue, attempt = j.attempt + 1, finished_at = now(),
            publish_at = excluded.publish_at, error_form = excluded.error_form,
            attempts = j.attempts || jsonb_set(excluded.attempts -> 0, '{attempt}', to_jsonb(j.attempt + 1))
        where j.state in ('scheduled', 'queued', 'retrying') and exists (
          select from unprocessable_messages u join m on m.id = u.job and m.digest = u.digest where u.job = j.id)
        returning j.id, j.claim, j.attempt
      ), kept as (
        insert into unprocessable_messages (job, digest, routing_key, properties, headers, body)
        select m.id, digest, routing_key, properties, headers, substring($12::bytea from start for size)
        from m join written w on w.id = m.id
        on conflict (job) do nothing
      )
      select id, claim, attempt, true as "isNew" from written
      union all
      select j.id, j.claim, j.attempt, false
      from m join unprocessable_messages u on u.job = m.id and u.digest = m.digest join jobs j on j.id = m.id
      where not exists (select from written w where w.id = m.id)`,
    values: [
      ...columns(messages, 'id', 'name', 'queue', 'payload', 'error', 'digest', 'routingKey'),
      ...columns(messages, 'properties', 'headers'),
      starts,
      messages.map(({ body }) => body.length),
      Buffer.concat(messages.map(({ body }) => body)),
      PRODUCER_GRACE_MS,
      ...columns(messages, 'version'),
    ],
  };
};
