import { realpathSync } from 'node:fs';
import { loadSettings } from '#config';
import { Database } from '#records';

/** A million rows make a year. */
const SALES_PER_DAY = 2_740;
const FIRST_DAY = '2025-01-01';

const TABLE = `
  create table if not exists demo_sales (
    id bigint primary key,
    sold_at date not null,
    product text not null,
    quantity int not null,
    price_cents int not null
  )`;
const INDEX = 'create index if not exists demo_sales_sold_at on demo_sales (sold_at)';
/** Each row follows from its id alone, so that any run makes the same ones and adds only what is missing. */
const ROWS = `
  insert into demo_sales (id, sold_at, product, quantity, price_cents)
  select id,
    date '${FIRST_DAY}' + ((id - 1) / ${SALES_PER_DAY})::int,
    (array['Apple', 'Bread, sliced', 'Cheese "old"', 'Dates', 'Eggs'])[1 + (id * 7) % 5],
    1 + (id * 31) % 9,
    100 + (id * 7919) % 4900
  from generate_series((select coalesce(max(id), 0) + 1 from demo_sales), $1::bigint) as id`;

/**
 * Makes the table that `report.generate` reads, and fills it with sales of each day from 2025-01-01 on: a year of
 * them with the default. Rows that are there stay, so it can be run again, also with another number.
 *
 * @param databaseUrl `postgresql://user:password@host:port/name`.
 * @param rows how many there are to be; never removes any.
 */
export async function seedDemoSales(databaseUrl: string, rows = 1_000_000): Promise<void> {
  const database = new Database({ url: databaseUrl, poolSize: 1 });
  // A connection of its own has no time limit for statements.
  const client = await database.connect();
  try {
    await client.query(TABLE);
    await client.query(ROWS, [rows]);
    await client.query(INDEX);
    await client.query('analyze demo_sales');
  } finally {
    await client.end();
    await database.onApplicationShutdown();
  }
}

if (process.argv[1] && realpathSync(process.argv[1]) === import.meta.filename) {
  await seedDemoSales(loadSettings().DATABASE_URL);
}
