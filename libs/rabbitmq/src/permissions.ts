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

/** The processes that have a broker user of their own. */
export type BrokerRole = 'api' | 'worker' | 'migration';

const NOTHING = '^$';
const quoted = (name: string) => name.replaceAll('.', '\\.');
const anyOf = (...names: string[]) => `^(${names.map(quoted).join('|')})$`;

/**
 * The least that each process works with. None but the migration declares anything, so anyone who has taken over an app
 * cannot bind a queue of their own to the jobs; the api can read no job. Nothing here names a contract's queue, so a
 * new one changes no permission.
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
