import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { loadSettings } from '#config';
import { edit, folders } from './tree.js';

/** Where KEDA is told which queues decide how many workers there are. */
export const TRIGGERS = 'deploy/components/autoscaling/worker.yaml';
const NONE = '  triggers: []\n';

/** Adds the trigger of a queue that has none. @returns the file that it stands in; undefined when there was nothing to do. */
export function addTrigger(queue: string): string | undefined {
  if (!existsSync(TRIGGERS) || triggerOf(queue).test(readFileSync(TRIGGERS, 'utf8'))) return undefined;
  const { fallback, queues } = loadSettings({}).WORKER_PREFETCH;
  const trigger = `    - type: rabbitmq
      metadata:
        { protocol: http, mode: QueueLength, queueName: ${queue}, value: "${queues.get(queue) ?? fallback}", excludeUnacknowledged: "false" }
      authenticationRef: { name: ${nameOfBroker()} }
`;
  edit(TRIGGERS, (text) => `${text.replace(NONE, '  triggers:\n')}${trigger}`);
  return TRIGGERS;
}

/** Takes the trigger of a queue out, unless a contract has the queue. */
export function removeTrigger(queue: string): undefined {
  if (!existsSync(TRIGGERS) || isUsed(queue)) return;
  edit(TRIGGERS, (text) => text.replace(triggerOf(queue), '').replace(/^ {2}triggers:\n(?! {4})/m, NONE));
}

const triggerOf = (queue: string) =>
  new RegExp(`^ {4}- type: rabbitmq\\n.*\\n.*queueName: ${queue.replaceAll('.', '\\.')},.*\\n.*\\n`, 'm');

const isUsed = (queue: string) =>
  readdirSync(folders.contracts).some(
    (file) =>
      file.endsWith('.ts') &&
      readFileSync(`${folders.contracts}/${file}`, 'utf8').includes(`queue: '${queue}'`),
  );

/** As the service is named. */
const nameOfBroker = () =>
  /name: (.+)/.exec(readFileSync('deploy/components/autoscaling/broker.yaml', 'utf8'))?.[1] ??
  'warren-broker';
