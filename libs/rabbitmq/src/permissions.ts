import { EXCHANGE } from './topology.js';

/** What a broker user may do with the exchanges and queues whose names match, as RabbitMQ takes it. */
export interface Permissions {
  /** Declare and delete. */
  configure: string;
  /** Publish to exchanges, and bind queues. */
  write: string;
  /** Consume, get and purge queues, and bind exchanges. */
  read: string;
}

export type BrokerRole = 'api' | 'worker' | 'migration';

const NOTHING = '^$';
const quoted = (name: string) => name.replaceAll('.', '\\.');
const anyOf = (...names: string[]) => `^(${names.map(quoted).join('|')})$`;

/**
 * The least that each process works with. Only the migration declares: anyone who takes over an app cannot bind a queue to the
 * jobs, and the api reads none. No contract's queue is named, so a new one changes no permission.
 */
export const leastPermissions: Readonly<Record<BrokerRole, Permissions>> = {
  api: { configure: NOTHING, write: anyOf(EXCHANGE.jobs), read: NOTHING },
  worker: {
    configure: NOTHING,
    write: anyOf(...Object.values(EXCHANGE)),
    // Work queues, dead letters and what no queue took. Only the broker takes anything out of a retry queue.
    read: `^(?!${quoted(EXCHANGE.retry)}(\\.|$)|(${quoted(EXCHANGE.jobs)}|${quoted(EXCHANGE.dead)})$)`,
  },
  // A queue that dead-letters asks for read on itself and write on the exchange, a binding for the reverse.
  migration: { configure: '.*', write: '.*', read: '.*' },
};
