import { setTimeout as pause } from 'node:timers/promises';
import { type Answers, now, PAD, serve, usage } from './protocol.js';

export interface Payload {
  at: number;
  pad: string;
}

/** How one system takes jobs in. Each call resolves once the system has confirmed that it has them. */
export interface Producer {
  enqueue(payload: Payload): Promise<unknown>;
  enqueueMany?(payloads: Payload[]): Promise<unknown>;
}

const payload = (): Payload => ({ at: now(), pad: PAD });

/** Has the bench drive a producer. */
export function serveProducer(producer: Producer): void {
  const { enqueueMany } = producer;
  serve({
    enqueue: ({ jobs, window }) =>
      timed(async () => {
        let next = 0;
        const lane = async () => {
          while (next < jobs) {
            next++;
            await producer.enqueue(payload());
          }
        };
        await Promise.all(Array.from({ length: window }, lane));
      }),
    bulk: enqueueMany
      ? ({ jobs, size }) =>
          timed(async () => {
            let next = 0;
            const lane = async () => {
              while (next < jobs) {
                const count = Math.min(size, jobs - next);
                next += count;
                await enqueueMany.call(producer, Array.from({ length: count }, payload));
              }
            };
            // Two at once, so that one is confirmed while the next one is made.
            await Promise.all([lane(), lane()]);
          })
      : undefined,
    pace: ({ perSecond, seconds }) =>
      timed(async () => {
        const startedAt = now();
        const open: Promise<unknown>[] = [];
        while (open.length < perSecond * seconds) {
          const due = ((now() - startedAt) * perSecond) / 1_000_000;
          while (open.length < due) open.push(producer.enqueue(payload()));
          await pause(1);
        }
        await Promise.all(open);
      }),
    feed: ({ jobs }) => {
      for (let left = jobs; left > 0; left--) void producer.enqueue(payload());
      return null;
    },
    usage,
  });
}

async function timed(task: () => Promise<void>): Promise<Answers['enqueue']> {
  const from = now();
  await task();
  return { from, to: now() };
}
