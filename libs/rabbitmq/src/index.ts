export { Broker } from './broker.js';
export { BrokerConnection, BrokerUnavailableError } from './connection.js';
export { Consumer, type Delivery } from './consumer.js';
export * from './permissions.js';
export * from './publisher.js';
export { RabbitMQModule } from './rabbitmq.module.js';
export * from './topology.js';
