export { Broker } from './broker.js';
export { BrokerConnection, BrokerUnavailableError } from './connection.js';
export { Consumer, type Delivery } from './consumer.js';
export { type BrokerRole, leastPermissions, type Permissions } from './permissions.js';
export {
  type OutgoingMessage,
  Publisher,
  PublishTimeoutError,
  UnroutableError,
} from './publisher.js';
export { RabbitMQModule } from './rabbitmq.module.js';
export {
  buildTopology,
  checkTopology,
  deadLetterQueue,
  declareTopology,
  directRoutingKey,
  EXCHANGE,
  priorityQueue,
  RETRY_DELAY_HEADER,
  type Topology,
  TopologyError,
} from './topology.js';
