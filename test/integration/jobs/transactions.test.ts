import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { CompiledQuery, Kysely, PostgresDialect, type Transaction } from 'kysely';
import pg from 'pg';
import { z } from 'zod';
import { Batches, BatchesModule } from '#batches';
import { ContractViolationError, defineJob, type Handler, JobHandler } from '#jobs';
import { Database, JobQueries, type Queryable } from '#records';
import { eventually } from '#testing';
import { type Environment, givenEnvironment, givenProducer, givenWorker } from '#testing/services';

const Ship = defineJob({ name: 'order.ship', queue: 'orders', payload: z.object({ order: z.int() }) });

@JobHandler(Ship)
class ShipHandler implements Handler<typeof Ship> {
  handle() {
    return null;
  }
}

let environment: Environment;
let worker: Awaited<ReturnType<typeof givenWorker>>;
let producer: Awaited<ReturnType<typeof givenProducer>>;
let db: Kysely<{ orders: { id: number } }>;

beforeAll(async () => {
  environment = await givenEnvironment([Ship]);
  await environment.sql('create table orders (id integer primary key)');
  producer = await givenProducer(environment, { contracts: [Ship], imports: [BatchesModule] });
  worker = await givenWorker(environment, {
    contracts: [Ship],
    handlers: [ShipHandler],
    imports: [BatchesModule.forWorker()],
  });
  const pool = new pg.Pool({ connectionString: environment.databaseUrl, max: 2 });
  db = new Kysely({ dialect: new PostgresDialect({ pool }) });
});
afterAll(async () => {
  await db?.destroy();
  await worker?.close();
  await producer?.close();
  await environment?.close();
});

const succeeds = (id: string) =>
  eventually(async () => (await producer.app.get(JobQueries).find(id))?.state === 'succeeded');
const exists = async (id: string) => (await producer.app.get(JobQueries).find(id)) !== undefined;

/** As docs/transactions.md says. */
const inTransaction = (transaction: Transaction<{ orders: { id: number } }>): Queryable => ({
  query: ({ text, values }) => transaction.executeQuery(CompiledQuery.raw(text, values)),
});

test('with Kysely a job, a unique job and a batch exist if and only if the caller’s rows do', async () => {
  const order = (id: number, isRolledBack: boolean) => {
    const ids: string[] = [];
    const done = db.transaction().execute(async (trx) => {
      const transaction = inTransaction(trx);
      await trx.insertInto('orders').values({ id }).execute();
      ids.push((await producer.jobs.enqueue(Ship, { order: id }, { transaction })).id);
      const unique = { key: `order ${id}` };
      ids.push((await producer.jobs.enqueue(Ship, { order: id }, { transaction, unique })).id);
      const batch = await producer.app
        .get(Batches)
        .enqueue(Ship, [{ order: id }, { order: id }], { transaction });
      expect(batch.counts.queued).toBe(2);
      if (isRolledBack) throw new Error('rolled back');
    });
    return done.then(
      () => ids,
      () => ids,
    );
  };
  for (const id of await order(1, true)) expect(await exists(id)).toBe(false);
  expect(await environment.sql('select id from batches')).toEqual([]);
  for (const id of await order(2, false)) await succeeds(id);
  await eventually(async () => {
    const [batch] = await environment.sql('select completed_at from batches');
    return batch?.completed_at;
  });
  expect(await environment.sql('select id from orders')).toEqual([{ id: 2 }]);
  expect(await environment.sql('select id from jobs')).toHaveLength(4);
});

test('with Warren’s own pool too, and a payload that does not fit leaves the transaction usable', async () => {
  const database = producer.app.get(Database);
  const insert = (id: number) => ({ text: 'insert into orders values ($1)', values: [id] });
  const kept = await database.transaction(async (transaction) => {
    await transaction.query(insert(3));
    const wrong = producer.jobs.enqueue(Ship, { order: 'three' } as never, { transaction });
    await expect(wrong).rejects.toThrow(ContractViolationError);
    return producer.jobs.enqueue(Ship, { order: 3 }, { transaction });
  });
  await succeeds(kept.id);

  let lost = '';
  const failed = database.transaction(async (transaction) => {
    await transaction.query(insert(4));
    lost = (await producer.jobs.enqueue(Ship, { order: 4 }, { transaction })).id;
    throw new RangeError('of the caller’s own');
  });
  await expect(failed).rejects.toThrow(RangeError);
  expect(await exists(lost)).toBe(false);
  expect(await environment.sql('select id from orders where id in (3, 4)')).toEqual([{ id: 3 }]);
});
