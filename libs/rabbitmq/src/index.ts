export { Broker } from './broker.js';
export { BrokerConnection, BrokerUnavailableError } from './connection.js';
export type { Consumer, Delivery } from './consumer.js';
export {
  type OutgoingMessage,
  Publisher,
  PublishTimeoutError,
  RefusedError,
  UnroutableError,
} from './publisher.js';
export { RabbitMQModule } from './rabbitmq.module.js';
export type { RabbitMQOptions } from './rabbitmq.module-definition.js';
export {
  buildTopology,
  deadLetterQueue,
  declareTopology,
  directRoutingKey,
  EXCHANGE,
  RETRY_DELAY_HEADER,
  retryQueue,
  type Topology,
  TopologyError,
} from './topology.js';
