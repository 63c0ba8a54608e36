// Plain JavaScript over what `npm run build:bench` made: its packages are installed by `npm run bench` alone.
import { Queue } from 'bullmq';
import { serveProducer } from '../../../dist/test/bench/producer.js';

const queue = new Queue('bench', {
  connection: { url: process.env.REDIS_URL },
  defaultJobOptions: { attempts: 3, removeOnComplete: { age: 3_600 } },
});
await queue.waitUntilReady();
serveProducer({
  enqueue: (payload) => queue.add('measured', payload),
  enqueueMany: (payloads) => queue.addBulk(payloads.map((data) => ({ name: 'measured', data }))),
});
