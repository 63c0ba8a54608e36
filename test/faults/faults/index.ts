import type { Fault } from '../fault.js';
import { backlogFaults } from './backlog.js';
import { brokerFaults } from './broker.js';
import { clusterFaults } from './cluster.js';
import { databaseFaults } from './database.js';
import { deployFaults } from './deploys.js';
import { networkFaults } from './network.js';
import { scheduleFaults } from './schedules.js';
import { workerFaults } from './workers.js';

/** Every fault; those that need a cluster last, because each kind of stage is built once. */
export const allFaults: readonly Fault[] = [
  ...workerFaults,
  ...brokerFaults,
  ...networkFaults,
  ...databaseFaults,
  ...backlogFaults,
  ...deployFaults,
  ...scheduleFaults,
  ...clusterFaults,
];
