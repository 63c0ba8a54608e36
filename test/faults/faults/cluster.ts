import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import type { RabbitmqNode } from '../../../scripts/services/rabbitmq-node.js';
import type { Fault } from '../fault.js';
import { UNTIL_STOPPED } from '../load.js';
import type { Scene } from '../scene.js';

/** Faults of a cluster of three brokers. */
export const clusterFaults: Fault[] = [
  {
    id: 'F36',
    title: 'the node that leads a queue is killed, and started again after 5 s',
    promises: 'P1 P2',
    nodes: 3,
    async run(scene) {
      const [api] = await Promise.all([scene.api(), scene.workers(2)]);
      const load = scene.load(api, { jobs: UNTIL_STOPPED, perSecond: 100 });
      await scene.queuesAreOld();
      const leader = await leaderOf(scene, 'ledger');
      await leader.stop('SIGKILL');
      await pause(5_000);
      await leader.start();
      load.stop();
      await load.done;
      load.assertNothingRefused();
      return undefined;
    },
  },
  {
    id: 'F36b',
    title: 'two of three nodes are killed, and started again after 10 s',
    promises: 'P1 P2',
    nodes: 3,
    async run(scene) {
      const [api] = await Promise.all([scene.api(), scene.workers(2)]);
      const load = scene.load(api, { jobs: UNTIL_STOPPED, perSecond: 100 });
      await scene.queuesAreOld();
      const [, second, third] = scene.stage.nodes as [RabbitmqNode, RabbitmqNode, RabbitmqNode];
      await Promise.all([second.stop('SIGKILL'), third.stop('SIGKILL')]);
      await pause(10_000);
      await Promise.all([second.start(), third.start()]);
      load.stop();
      await load.done;
      load.assertNothingRefused();
      return undefined;
    },
  },
];

async function leaderOf({ stage, environment }: Scene, queue: string): Promise<RabbitmqNode> {
  const { leader } = await environment.management<{ leader: string }>('GET', `/queues/{vhost}/${queue}`);
  const node = stage.nodes.find(({ nodeName }) => nodeName === leader);
  assert(node, `The queue ${queue} is led by ${leader}, which is none of the cluster`);
  return node;
}
