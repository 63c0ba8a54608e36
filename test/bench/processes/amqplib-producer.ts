import { connect } from 'amqplib';
import { serveProducer } from '../producer.js';

const connection = await connect(process.env.RABBITMQ_URL as string, { noDelay: true });
const channel = await connection.createConfirmChannel();
await channel.assertQueue('raw', { durable: true, arguments: { 'x-queue-type': 'quorum' } });
serveProducer({
  enqueue: (payload) =>
    new Promise<void>((resolve, reject) => {
      channel.publish('', 'raw', Buffer.from(JSON.stringify(payload)), { persistent: true }, (error) =>
        error ? reject(error) : resolve(),
      );
    }),
});
