import { startRedis } from './redis.js';
import { describeMachine, describeServices, median, table } from './report.js';
import { handled, quantileOf } from './round.js';
import type { Findings, Stage } from './stage.js';
import { DURABLE_PEER, REFERENCE, type System, systemsOn } from './systems.js';

const RATES = [200, 1_000, 4_000];
/** Latencies in milliseconds from the call that enqueues to the handler. */
interface Latency {
  p50: number;
  p99: number;
}
type Round = Record<number, Latency>;

/** How long a job takes to its handler at rates that are not the highest, beside amqplib alone and a durable BullMQ. */
export async function rates({
  environment,
  services,
  quick,
  rounds = quick ? 1 : 5,
  only,
  log,
  during,
}: Stage): Promise<Findings> {
  const redis = await startRedis('always');
  const seconds = quick ? 3 : 15;
  try {
    const systems = systemsOn(environment, { always: redis }).filter(({ id }) =>
      (only ?? ['warren', REFERENCE, DURABLE_PEER]).includes(id),
    );
    const figures: Record<string, Round[]> = Object.fromEntries(systems.map(({ id }) => [id, []]));
    for (let round = 0; round < rounds; round++) {
      for (let turn = 0; turn < systems.length; turn++) {
        const system = systems[(turn + round) % systems.length] as System;
        const found = await during(playRates(system, seconds));
        figures[system.id]?.push(found);
        log(`round ${round + 1}, ${system.id}: ${JSON.stringify(found)}`);
      }
    }
    const of = (id: string, rate: number, figure: keyof Latency) =>
      median((figures[id] ?? []).map((round) => round[rate]?.[figure] ?? Number.NaN));
    const ratio = (id: string, rate: number, figure: keyof Latency) =>
      median(
        (figures.warren ?? []).map(
          (round, index) => (round[rate]?.[figure] ?? 0) / (figures[id]?.[index]?.[rate]?.[figure] ?? 0),
        ),
      );
    const rows = RATES.map((rate) => ({
      'jobs a second': rate,
      ...Object.fromEntries(
        systems.map(({ id }) => [
          `${id}: p50, p99 ms`,
          `${of(id, rate, 'p50').toFixed(1)}, ${of(id, rate, 'p99').toFixed(1)}`,
        ]),
      ),
      ...Object.fromEntries(
        systems
          .filter(({ id }) => id !== 'warren' && figures.warren)
          .map(({ id }) => [
            `Warren to ${id}`,
            `${ratio(id, rate, 'p50').toFixed(2)}, ${ratio(id, rate, 'p99').toFixed(2)}`,
          ]),
      ),
    }));
    return {
      figures,
      markdown: [
        `${describeMachine()}; ${describeServices(services)}. ${rounds} rounds of ${seconds} s at each rate; medians, and medians of the ratios within a round. Aims, to ${DURABLE_PEER}: p50 at most 1.6, p99 at most 1.3.`,
        '',
        ...table(rows),
        '',
      ].join('\n'),
    };
  } finally {
    await redis?.stop();
  }
}

async function playRates(system: System, seconds: number): Promise<Round> {
  const producer = await system.producer();
  const worker = await system.worker();
  const pace = async (perSecond: number, forSeconds: number) => {
    const count = perSecond * forSeconds;
    const [, { latencies }] = await Promise.all([
      producer.tell({ do: 'pace', perSecond, seconds: forSeconds }),
      handled(worker, count),
    ]);
    // The first tenth is a start from rest.
    return latencies.slice(count / 10);
  };
  try {
    await pace(4_000, 3);
    const found: Round = {};
    for (const rate of RATES) {
      const quantile = quantileOf(await pace(rate, seconds));
      found[rate] = { p50: quantile(0.5), p99: quantile(0.99) };
    }
    return found;
  } finally {
    await Promise.all([producer.end(), worker.end()]);
  }
}
