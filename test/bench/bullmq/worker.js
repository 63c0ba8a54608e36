// Plain JavaScript over what `npm run build:bench` made: its packages are installed by `npm run bench` alone.
import { Worker } from 'bullmq';
import { Tally } from '../../../dist/test/bench/tally.js';

const tally = new Tally();
const worker = new Worker('bench', async (job) => tally.count(job.data.at), {
  connection: { url: process.env.REDIS_URL },
  concurrency: Number(process.env.CONCURRENCY),
});
await worker.waitUntilReady();
tally.serve();
