import { Worker } from 'bullmq';
import { Tally } from '../tally.js';

const tally = new Tally();
const worker = new Worker('bench', async (job) => tally.count(job.data.at), {
  connection: { url: process.env.REDIS_URL as string },
  concurrency: Number(process.env.CONCURRENCY),
});
await worker.waitUntilReady();
tally.serve();
