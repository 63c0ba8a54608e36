import type { Channel } from 'amqplib';
import { TransientError } from '#common';
import { type Duration, formatDuration, type Priority, toMilliseconds } from '#define-job';
import type { BrokerConnection } from './connection.js';

/**
 * The exchanges and queues that jobs move through, declared by `npm run migrate` and only checked by the apps.
 *
 *   `jobs` (topic) ──contract's name──► work queue `email`
 *      │   └─ `queue-high.email.#`, `queue-low.email.#` ─► `email.high`, `email.low`, where there are priorities
 *      ▲   └─ no queue: alternate exchange `jobs.unroutable` ─► queue `jobs.unroutable`
 *      │ TTL over, routing key kept
 *   `jobs.retry.5s` ◄──header retry-delay── `jobs.retry` (headers)
 *   `email.dead` ◄──queue's name── `jobs.dead` (direct) ◄── rejected, or delivered too often; what no queue took, too
 *
 * All queues are quorum queues. Only at-least-once dead-lettering into quorum queues kept every message when the
 * broker was killed in the middle of expiry, and it needs `reject-publish`: without it the broker falls back to
 * at-most-once and says nothing. A delay is a queue's TTL, never a message's: that would wait behind longer ones.
 */
export const EXCHANGE = {
  jobs: 'jobs',
  retry: 'jobs.retry',
  dead: 'jobs.dead',
  unroutable: 'jobs.unroutable',
} as const;

/** Chooses a retry queue by its delay (`5s`). Not `x-…`: a headers exchange ignores those, and would fill every retry queue. */
export const RETRY_DELAY_HEADER = 'retry-delay';

/** The queue that keeps dead letters of a work queue. */
export const deadLetterQueue = (queue: string) => `${queue}.dead`;

/** The retry queue of a delay. Equal delays share one, however they are written. */
export const retryQueue = (delay: Duration) => `${EXCHANGE.retry}.${formatDuration(toMilliseconds(delay))}`;

/** The queue of a priority, with consumers of its own: quorum queues have no priorities before RabbitMQ 4.3. */
export const priorityQueue = (queue: string, priority: Priority) =>
  priority === 'normal' ? queue : `${queue}.${priority}`;

/** The work queue of such a queue. */
export const workQueueOf = (name: string) => name.replace(/\.(high|low)$/, '');

/** The routing key that brings a message to a queue, or to one of its priorities. */
export const directRoutingKey = (queue: string, name: string, priority: Priority = 'normal') =>
  `${priority === 'normal' ? 'queue' : `queue-${priority}`}.${queue}.${name}`;

/**
 * The broker's own bound, for a loop that no worker could record; attempts are counted in the record. RabbitMQ 4.x would
 * set 20, which twenty restarts with the same message at the head of the queue use up.
 */
const DELIVERY_LIMIT = 1_000;

export interface TopologyOptions {
  /** Work queues, each with the names of the contracts whose jobs it holds. */
  queues: ReadonlyMap<string, readonly string[]>;
  prioritised?: ReadonlySet<string>;
  retryDelays: readonly Duration[];
}

interface Exchange {
  name: string;
  type: 'topic' | 'direct' | 'headers' | 'fanout';
  arguments?: Record<string, unknown>;
}
interface Binding {
  exchange: string;
  routingKey: string;
  arguments?: Record<string, unknown>;
}
/** A queue and what is bound to it, as a migration has declared it. */
export interface DeclaredQueue {
  name: string;
  bindings: Binding[];
}
interface Queue extends DeclaredQueue {
  arguments: Record<string, unknown>;
}
/** Exchanges and queues in the order in which they must be declared: a target before what dead-letters into it. */
export interface Topology {
  exchanges: Exchange[];
  queues: Queue[];
}

/** Derives the topology from queues and delays. Pure: the same options give the same topology. */
export function buildTopology({ queues, prioritised, retryDelays }: TopologyOptions): Topology {
  const quorum = { 'x-queue-type': 'quorum' };
  const deadLettering = (exchange: string) => ({
    'x-dead-letter-exchange': exchange,
    'x-dead-letter-strategy': 'at-least-once',
    'x-overflow': 'reject-publish',
  });
  const delays = new Map(retryDelays.map((delay) => [retryQueue(delay), toMilliseconds(delay)]));
  const work = [...queues].sort(([a], [b]) => a.localeCompare(b));
  const workQueue = (queue: string, priority: Priority, contracts: readonly string[]): Queue => ({
    name: priorityQueue(queue, priority),
    arguments: {
      ...quorum,
      ...deadLettering(EXCHANGE.dead),
      'x-dead-letter-routing-key': queue,
      'x-delivery-limit': DELIVERY_LIMIT,
    },
    bindings: [directRoutingKey(queue, '#', priority), ...contracts].map((routingKey) => ({
      exchange: EXCHANGE.jobs,
      routingKey,
    })),
  });

  return {
    exchanges: [
      { name: EXCHANGE.unroutable, type: 'fanout' },
      { name: EXCHANGE.jobs, type: 'topic', arguments: { 'alternate-exchange': EXCHANGE.unroutable } },
      { name: EXCHANGE.retry, type: 'headers' },
      { name: EXCHANGE.dead, type: 'direct' },
    ],
    queues: [
      {
        name: EXCHANGE.unroutable,
        arguments: quorum,
        bindings: [{ exchange: EXCHANGE.unroutable, routingKey: '' }],
      },
      ...[EXCHANGE.unroutable, ...work.map(([name]) => name)].map((name) => ({
        name: deadLetterQueue(name),
        arguments: quorum,
        bindings: [{ exchange: EXCHANGE.dead, routingKey: name }],
      })),
      ...work.flatMap(([name, contracts]) => [
        workQueue(name, 'normal', contracts),
        ...(prioritised?.has(name) ? [workQueue(name, 'high', []), workQueue(name, 'low', [])] : []),
      ]),
      ...[...delays].map(([name, milliseconds]) => ({
        name,
        arguments: { ...quorum, ...deadLettering(EXCHANGE.jobs), 'x-message-ttl': milliseconds },
        bindings: [
          {
            exchange: EXCHANGE.retry,
            routingKey: '',
            arguments: { 'x-match': 'all', [RETRY_DELAY_HEADER]: formatDuration(milliseconds) },
          },
        ],
      })),
    ],
  };
}

/** An exchange or a queue, as it is checked and declared. */
interface Part {
  what: string;
  exists(channel: Channel): Promise<unknown>;
  assert(channel: Channel): Promise<unknown>;
}

const exchangePart = ({ name, type, arguments: args }: Exchange): Part => ({
  what: `exchange ${name}`,
  exists: (channel) => channel.checkExchange(name),
  assert: (channel) => channel.assertExchange(name, type, { durable: true, arguments: args }),
});

const queuePart = ({ name, arguments: args }: Queue): Part => ({
  what: `queue ${name}`,
  exists: (channel) => channel.checkQueue(name),
  assert: (channel) => channel.assertQueue(name, { durable: true, arguments: args }),
});

const assertPart = (connection: BrokerConnection, { what, assert }: Part): Promise<unknown> =>
  connection.withChannel(assert).catch((error) => explain(what, error));

/** The broker takes some 30 ms to make a quorum queue, and makes several at a time. */
const DECLARED_AT_ONCE = 8;

/**
 * Declares a topology; what stands already is left as it is. What was bound to another queue before, as the name of a
 * contract that has moved, is not any more.
 *
 * @param earlier the queues as earlier migrations may have declared them.
 * @returns those with what is still bound to them.
 * @throws TopologyError when an exchange or a queue stands with other arguments.
 */
export async function declareTopology(
  connection: BrokerConnection,
  topology: Topology,
  earlier: readonly DeclaredQueue[] = [],
): Promise<DeclaredQueue[]> {
  for (const exchange of topology.exchanges) await assertPart(connection, exchangePart(exchange));
  const queues = [...topology.queues];
  const declareNext = async () => {
    for (let queue = queues.shift(); queue; queue = queues.shift()) {
      await assertPart(connection, queuePart(queue));
      await bindQueue(connection, queue);
    }
  };
  await Promise.all(Array.from({ length: DECLARED_AT_ONCE }, declareNext));

  const hasMoved = movesTo(topology);
  for (const { name, bindings } of earlier)
    await unbindQueue(connection, { name, bindings: bindings.filter((one) => hasMoved(name, one)) });
  return earlier.map(({ name, bindings }) => ({
    name,
    bindings: bindings.filter((one) => !hasMoved(name, one)),
  }));
}

/** Tells whether what was bound to a queue is bound to others now, and not to this one. */
function movesTo({ queues }: Topology): (queue: string, binding: Binding) => boolean {
  const keyOf = ({ exchange, routingKey, arguments: args }: Binding) =>
    JSON.stringify([exchange, routingKey, args]);
  const places = new Map<string, string[]>();
  for (const { name, bindings } of queues)
    for (const key of bindings.map(keyOf)) places.set(key, [...(places.get(key) ?? []), name]);
  return (queue, binding) => places.get(keyOf(binding))?.includes(queue) === false;
}

/**
 * Checks that a topology stands, and makes nothing: existence first, then the arguments by declaring again what
 * exists. Where the user may not declare (403), existence has to do.
 *
 * @throws TopologyError that names every exchange or queue that is missing or has other arguments.
 */
export async function checkTopology(connection: BrokerConnection, topology: Topology): Promise<void> {
  const problems: string[] = [];
  for (const part of [...topology.exchanges.map(exchangePart), ...topology.queues.map(queuePart)]) {
    try {
      await connection.withChannel(part.exists);
      await assertPart(connection, part);
    } catch (error) {
      if (error instanceof TopologyError) problems.push(...error.problems);
      else if (codeOf(error) === 404) problems.push(`${part.what} is missing`);
      else if (codeOf(error) !== 403) throw error;
    }
  }
  if (problems.length > 0) throw new TopologyError(problems);
}

/** The broker's exchanges and queues are not what the contracts need, until a migration has run. Its message says what to do. */
export class TopologyError extends TransientError {
  override readonly name = 'TopologyError';
  constructor(readonly problems: string[]) {
    const advice = [
      problems.some((problem) => problem.endsWith('missing')) &&
        'Run `npm run migrate` to declare what is missing.',
      problems.some((problem) => problem.includes('expected')) &&
        'The broker cannot change the arguments of a queue: let it run empty, delete it (`rabbitmqctl delete_queue NAME`) and run `npm run migrate`, or give the contract a queue of another name.',
    ].filter(Boolean);
    super(
      `The broker's topology does not fit:\n${problems.map((problem) => `  ${problem}`).join('\n')}\n${advice.join('\n')}`,
    );
  }
}

export const bindQueue = (connection: BrokerConnection, { name, bindings }: DeclaredQueue): Promise<void> =>
  connection.withChannel(async (channel) => {
    for (const { exchange, routingKey, arguments: args } of bindings)
      await channel.bindQueue(name, exchange, routingKey, args);
  });

/** A queue that is not there has no bindings. */
export const unbindQueue = (connection: BrokerConnection, { name, bindings }: DeclaredQueue): Promise<void> =>
  connection.withChannel(async (channel) => {
    for (const { exchange, routingKey, arguments: args } of bindings)
      await channel.unbindQueue(name, exchange, routingKey, args);
  });

/** Turns the broker's 406 into one problem: what differs, expected, found. */
function explain(what: string, error: unknown): never {
  const text = (error as Error).message ?? '';
  if (codeOf(error) !== 406) throw error;
  const [, argument, received, current] =
    /inequivalent arg '([^']+)'.*?received (.+?) but current is (.+?)(?:"|$)/.exec(text) ?? [];
  const bare = (value = 'something else') =>
    value.replaceAll("'", '').replace(/^the value (\S+) of type .*$/, '$1');
  throw new TopologyError([
    argument
      ? `${what}: ${argument}: expected ${bare(received)}, found ${bare(current)}`
      : `${what}: expected other arguments, found what the broker describes as: ${text}`,
  ]);
}

export const codeOf = (error: unknown): number | undefined => (error as { code?: number }).code;
