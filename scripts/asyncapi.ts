import { FIRST_VERSION, MAX_VERSION, type Priority } from '#define-job';
import { type AnyContract, type Contracts, payloadSchema } from '#jobs';
import { directRoutingKey, EXCHANGE } from '#rabbitmq';

/**
 * Jobs on the wire, as AsyncAPI 3 describes them: what a program has to publish so that a worker runs it. The prose of
 * the same is `docs/lifecycle.md`, and what reads such messages is `libs/jobs/src/decode.ts`.
 *
 * Actions are the worker's, as the specification wants it: it receives what other programs send.
 */
export function describeMessages(contracts: Contracts): Record<string, unknown> {
  const all = [...contracts].sort((a, b) => a.name.localeCompare(b.name));
  const queues = [...contracts.queues.keys()].sort();
  return {
    asyncapi: '3.0.0',
    info: { title: 'Warren', version: '1', license: { name: 'MIT' }, description: DESCRIPTION },
    defaultContentType: 'application/json',
    servers: {
      rabbitmq: {
        host: 'localhost:5672',
        protocol: 'amqp',
        protocolVersion: '0-9-1',
        description:
          'The broker that RABBITMQ_URL names. The exchange stands once `npm run migrate` has run.',
      },
    },
    channels: {
      ...Object.fromEntries(all.map((contract) => [contract.name, ownChannel(contract)])),
      'queue-of-choice': choiceChannel(all, 'normal', queues),
      ...Object.fromEntries(
        (['high', 'low'] as const)
          .filter(() => contracts.prioritised.size > 0)
          .map((priority) => [
            `${priority}-priority`,
            choiceChannel(all, priority, [...contracts.prioritised].sort()),
          ]),
      ),
    },
    operations: Object.fromEntries(
      all.map(({ name }) => [
        `run-${name}`,
        {
          action: 'receive',
          channel: { $ref: `#/channels/${name}` },
          messages: [{ $ref: `#/channels/${name}/messages/${name}` }],
          // How it has to be published: persistent, and told if nobody takes it.
          bindings: {
            amqp: { deliveryMode: 2, mandatory: true, timestamp: true, ack: true, bindingVersion: '0.3.0' },
          },
        },
      ]),
    ),
    components: {
      messages: Object.fromEntries(all.map((contract) => [contract.name, message(contract)])),
      schemas: { Headers: HEADERS },
    },
  };
}

const DESCRIPTION = [
  'Publish one of these messages to the exchange `jobs`, persistent, with a publisher confirm, and a worker runs it; no',
  'api is needed. The worker makes the record of the job when the message arrives, so a message that is published again',
  'with the same messageId, because its confirm did not come, runs once. What cannot be understood or does not fit its',
  'schema goes to the dead-letter queue of its queue. A routing key that no contract has is not returned: the message is',
  'kept in the queue `jobs.unroutable`. Bodies over 128 KiB are better given to the api, which keeps them out of the broker.',
].join(' ');

/** The exchange, as every channel has it. */
const exchange = {
  amqp: {
    is: 'routingKey',
    exchange: { name: EXCHANGE.jobs, type: 'topic', durable: true, autoDelete: false },
    bindingVersion: '0.3.0',
  },
};

function ownChannel({ name, queue, retry, timeout, version }: AnyContract) {
  return {
    address: name,
    description: `Jobs of ${name}, in the queue ${queue}.`,
    messages: { [name]: { $ref: `#/components/messages/${name}` } },
    bindings: exchange,
    'x-queue': queue,
    'x-retry': retry.given,
    'x-timeout': timeout,
    'x-version': version,
  };
}

function choiceChannel(contracts: readonly AnyContract[], priority: Priority, queues: readonly string[]) {
  return {
    address: directRoutingKey('{queue}', '{name}', priority),
    description:
      priority === 'normal'
        ? 'Any job, in a queue that is not that of its contract.'
        : `Any job with ${priority} priority, in a queue that has priorities.`,
    parameters: {
      queue: { enum: queues, description: 'The queue that the job waits in' },
      name: { enum: contracts.map(({ name }) => name), description: 'The contract' },
    },
    messages: Object.fromEntries(
      contracts.map(({ name }) => [name, { $ref: `#/components/messages/${name}` }]),
    ),
    bindings: exchange,
  };
}

function message(contract: AnyContract) {
  const { name } = contract;
  return {
    name,
    contentType: 'application/json',
    headers: headersOf(contract),
    // In the JSON Schema of AsyncAPI's own schema objects.
    payload: payloadSchema(contract, `#/components/messages/${name}/payload`, 'draft-7'),
    bindings: { amqp: { messageType: name, bindingVersion: '0.3.0' } },
    // AsyncAPI has no place for these properties of AMQP.
    'x-amqp-properties': {
      type: 'object',
      required: ['messageId', 'type'],
      properties: {
        messageId: {
          type: 'string',
          format: 'uuid',
          description:
            "The job's id, which the publisher chooses: a UUID, best of version 7, whose order is time",
        },
        type: { const: name },
        contentType: { const: 'application/json' },
        deliveryMode: { const: 2 },
        timestamp: { type: 'integer', description: 'When it was published, in seconds since 1970' },
      },
    },
  };
}

/** Those of a contract whose payloads are not of version 1 must say so. */
const headersOf = ({ version }: AnyContract) =>
  version === FIRST_VERSION
    ? { $ref: '#/components/schemas/Headers' }
    : {
        allOf: [{ $ref: '#/components/schemas/Headers' }],
        type: 'object',
        required: ['x-version'],
        properties: { 'x-version': { const: version } },
      };

const HEADERS = {
  type: 'object',
  properties: {
    'x-attempt': {
      type: 'integer',
      minimum: 1,
      maximum: 1_000_000,
      default: 1,
      description: 'The attempt that the message stands for; 1 for a new job',
    },
    'x-version': {
      type: 'integer',
      minimum: 1,
      maximum: MAX_VERSION,
      default: FIRST_VERSION,
      description: 'The version of the contract that the payload is of',
    },
    traceparent: {
      type: 'string',
      pattern: '^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$',
      description: 'The trace that the job belongs to (W3C Trace Context)',
    },
    tracestate: {
      type: 'string',
      maxLength: 512,
      description: 'What tracing systems keep beside it (W3C Trace Context)',
    },
  },
};
