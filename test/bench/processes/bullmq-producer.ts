import { Queue } from 'bullmq';
import { serveProducer } from '../producer.js';

const queue = new Queue('bench', {
  connection: { url: process.env.REDIS_URL as string },
  defaultJobOptions: { attempts: 3, removeOnComplete: { age: 3_600 } },
});
await queue.waitUntilReady();
serveProducer({
  enqueue: (payload) => queue.add('measured', payload),
  enqueueMany: (payloads) => queue.addBulk(payloads.map((data) => ({ name: 'measured', data }))),
});
