import { connect } from 'amqplib';
import { Tally } from '../tally.js';

const connection = await connect(process.env.RABBITMQ_URL as string, { noDelay: true });
const channel = await connection.createChannel();
await channel.assertQueue('raw', { durable: true, arguments: { 'x-queue-type': 'quorum' } });
await channel.prefetch(Number(process.env.PREFETCH));
const tally = new Tally();
await channel.consume('raw', (message) => {
  if (!message) return;
  tally.count(JSON.parse(message.content.toString()).at);
  channel.ack(message);
});
tally.serve();
