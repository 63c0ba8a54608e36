import { GenerateReport } from '#contracts';
import { type Handler, type JobContext, JobHandler, NonRetryableError } from '#jobs';
import { Database } from '#records';
import { csvRecord } from '../csv.js';
import { FileStore } from '../file-store.js';

const PERIOD = 'from demo_sales where sold_at between $1 and $2';
const COUNT = `select count(*)::float8 as sales ${PERIOD}`;
/** In the order of days, so that a day can be written and forgotten once the next one begins. */
const SALES = `select sold_at::text as day, product, quantity, price_cents ${PERIOD} order by sold_at`;
const UNDEFINED_TABLE = '42P01';
/** Sales between two notes of progress; a few a second. */
const PROGRESS_EVERY = 20_000;

interface Sale {
  day: string;
  product: string;
  quantity: number;
  price_cents: number;
}

/** Quantity and revenue of each product on one day. */
type Sums = Map<string, { quantity: number; cents: number }>;

/**
 * Sums up the sales of a period, both ends included, by day and product, into `reports/<job id>.csv`. The sales are
 * streamed: what is kept in memory is one day's sums.
 */
@JobHandler(GenerateReport, { isolated: true })
export class GenerateReportHandler implements Handler<typeof GenerateReport> {
  constructor(
    private readonly database: Database,
    private readonly files: FileStore,
  ) {}

  async handle(job: JobContext<typeof GenerateReport>) {
    const path = `reports/${job.id}.csv`;
    let rows = 0;
    const counted = async function* (records: AsyncIterable<string>) {
      for await (const record of records) {
        rows++;
        yield record;
      }
    };
    try {
      const bytes = await this.files.write(path, counted(this.records(job)), job.signal);
      job.log.info({ path, rows, bytes }, 'Report written');
      return { path, rows: rows - HEADER_ROWS, bytes };
    } catch (error) {
      if ((error as { code?: unknown }).code !== UNDEFINED_TABLE) throw error;
      throw new NonRetryableError(
        'The table demo_sales does not exist: make and fill it with ' +
          '`npm run build && node dist/scripts/demo-sales.js`, then replay the job',
        { cause: error },
      );
    }
  }

  private async *records({ payload, signal, progress }: JobContext<typeof GenerateReport>) {
    const period = [payload.from, payload.to];
    let total = 0;
    // Streamed for the sake of the time limit, which a stream does not have: a count, too, may read all rows.
    for await (const { sales } of this.database.stream<{ sales: number }>(COUNT, period)) total = sales;
    yield csvRecord(['day', 'product', 'quantity', 'revenue_cents']);

    let day = '';
    let sums: Sums = new Map();
    let read = 0;
    for await (const sale of this.database.stream<Sale>(SALES, period)) {
      signal.throwIfAborted();
      if (sale.day !== day) {
        yield* daily(day, sums);
        day = sale.day;
        sums = new Map();
      }
      add(sums, sale);
      if (++read % PROGRESS_EVERY === 0) progress(read / total, `${read} of ${total} sales`);
    }
    yield* daily(day, sums);
    progress(1, `${read} of ${total} sales`);
  }
}

const HEADER_ROWS = 1;

function add(sums: Sums, { product, quantity, price_cents }: Sale): void {
  const sum = sums.get(product) ?? { quantity: 0, cents: 0 };
  sum.quantity += quantity;
  sum.cents += quantity * price_cents;
  sums.set(product, sum);
}

function* daily(day: string, sums: Sums): Generator<string> {
  for (const [product, { quantity, cents }] of [...sums].sort(([a], [b]) => (a < b ? -1 : 1))) {
    yield csvRecord([day, product, quantity, cents]);
  }
}
