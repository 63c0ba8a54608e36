import { ClientProxyFactory, Transport } from '@nestjs/microservices';
import { lastValueFrom } from 'rxjs';
import { serveProducer } from '../producer.js';

const client = ClientProxyFactory.create({
  transport: Transport.RMQ,
  options: {
    urls: [process.env.RABBITMQ_URL as string],
    queue: 'nest',
    persistent: true,
    queueOptions: { durable: true, arguments: { 'x-queue-type': 'quorum' } },
  },
});
await client.connect();
serveProducer({
  enqueue: (payload) => lastValueFrom(client.emit('bench.measured', payload), { defaultValue: undefined }),
});
