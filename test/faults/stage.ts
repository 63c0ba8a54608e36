import type { ServiceAddresses } from '#testing/services';
import { type PostgresServer, startPostgres } from '../../scripts/services/postgres.js';
import { startPrivate } from '../../scripts/services/private.js';
import { type RabbitmqNode, startRabbitmqNodes } from '../../scripts/services/rabbitmq-node.js';

/** What raises each of the broker's alarms, and what clears it again. */
const ALARMS = {
  memory: {
    raise: ['set_vm_memory_high_watermark', 'absolute', '1'],
    clear: ['set_vm_memory_high_watermark', 'absolute', '1GB'],
  },
  disk: { raise: ['set_disk_free_limit', '1000000GB'], clear: ['set_disk_free_limit', '50MB'] },
} as const;
export type Alarm = keyof typeof ALARMS;

/** A broker, or a cluster of them, and a database, all of them there to be broken. */
export class Stage {
  private readonly alarms = new Set<Alarm>();

  private constructor(
    readonly nodes: RabbitmqNode[],
    readonly database: PostgresServer,
    /** Ends them all and removes their data. */
    readonly close: () => Promise<void>,
  ) {}

  /** @param log told when RabbitMQ has to be installed first. */
  static async open(nodeCount: number, log: (line: string) => void): Promise<Stage> {
    const starts = [
      startPrivate((place) => startRabbitmqNodes(place, nodeCount, log)),
      startPrivate((place) => startPostgres(place)),
    ] as const;
    const settled = await Promise.allSettled(starts);
    const stop = async () => {
      await Promise.all(settled.map((one) => (one.status === 'fulfilled' ? one.value.stop() : undefined)));
    };
    try {
      const [nodes, database] = await Promise.all(starts);
      return new Stage(nodes.addresses, database.addresses, stop);
    } catch (error) {
      await stop();
      throw error;
    }
  }

  /** The only broker, or the first of the cluster. */
  get broker(): RabbitmqNode {
    return this.nodes[0]!;
  }

  get addresses(): ServiceAddresses {
    return { ...this.broker.addresses, ...this.database.addresses };
  }

  async raise(alarm: Alarm): Promise<void> {
    this.alarms.add(alarm);
    await this.broker.ctl(...ALARMS[alarm].raise);
    const raised = await this.broker.ctl('eval', 'rabbit_alarm:get_alarms().');
    if (!raised.includes(alarm)) throw new Error(`No ${alarm} alarm went off: ${raised}`);
  }

  async clear(alarm: Alarm): Promise<void> {
    await this.broker.ctl(...ALARMS[alarm].clear);
    this.alarms.delete(alarm);
  }

  /** Starts what is down and clears alarms, so that nothing of a fault is left for the next. */
  async heal(): Promise<void> {
    const down = this.nodes.filter((node) => !node.isRunning);
    await Promise.all([
      ...down.map((node) => node.start()),
      this.database.isRunning ? undefined : this.database.start(),
    ]);
    for (const alarm of this.alarms) await this.clear(alarm);
  }
}
