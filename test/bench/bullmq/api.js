// Plain JavaScript over what `npm run build:bench` made: its packages are installed by `npm run bench` alone.
import { Queue } from 'bullmq';
import { serveHandingApi } from '../../../dist/test/bench/handing-api.js';

const queue = new Queue('http', {
  connection: { url: process.env.REDIS_URL },
  defaultJobOptions: { attempts: 3, removeOnComplete: { age: 3_600 } },
});
await queue.waitUntilReady();
await serveHandingApi({
  add: (payload) => queue.add('measured', payload),
  addMany: (payloads) => queue.addBulk(payloads.map((data) => ({ name: 'measured', data }))),
});
