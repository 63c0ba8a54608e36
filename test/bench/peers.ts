import { barChart } from './chart.js';
import { startRedis } from './redis.js';
import { describeMachine, describeServices, medianOf, type Report, toMarkdown } from './report.js';
import { type Extent, type Measures, playRound } from './round.js';
import type { Findings, Stage } from './stage.js';
import { REFERENCE, systemsOn } from './systems.js';

const FULL: Extent = { jobs: 20_000, warmUp: 30_000, latencySeconds: 5 };
const QUICK: Extent = { jobs: 5_000, warmUp: 2_000, latencySeconds: 2 };

/** Warren beside what people would take instead, in turn in each round. */
export async function peers({
  environment,
  services,
  quick,
  rounds,
  only,
  log,
  during,
}: Stage): Promise<Findings> {
  const redis = { everysec: await startRedis('everysec'), always: await startRedis('always') };
  try {
    const systems = systemsOn(environment, redis).filter(
      ({ id }) => id === REFERENCE || !only || only.includes(id),
    );
    const extent = quick ? QUICK : FULL;
    const report: Report = {
      at: new Date().toISOString().slice(0, 16).replace('T', ' '),
      machine: `${describeMachine()}; ${describeServices(services)}`,
      extent,
      systems: systems.map(({ id, title, keeps }) => ({ id, title, keeps, rounds: [] })),
      skipped: redis.everysec ? [] : ['BullMQ was not measured: there is no redis-server on this machine'],
    };
    for (let round = 0; round < (rounds ?? (quick ? 2 : 5)); round++) {
      // Another order in each round, so that nobody always comes after the same neighbour.
      for (let turn = 0; turn < systems.length; turn++) {
        const index = (turn + round) % systems.length;
        const system = systems[index] as (typeof systems)[number];
        const measures = await during(playRound(system, extent));
        report.systems[index]?.rounds.push(measures);
        log(`round ${round + 1}, ${system.id}: ${describe(measures)}`);
      }
    }
    return { markdown: toMarkdown(report), figures: report, chart: draw(report) };
  } finally {
    await Promise.all([redis.everysec?.stop(), redis.always?.stop()]);
  }
}

const describe = ({ enqueue, bulk, drain, both, p50, cpu, memory }: Measures) =>
  Object.entries({ enqueue, bulk, drain, both, p50, cpu, memory })
    .map(([name, value]) => `${name} ${value === undefined ? '–' : Number(value.toPrecision(3))}`)
    .join(', ');

const draw = ({ systems, machine }: Report) =>
  barChart({
    title: 'Jobs a second, enqueued and worked off at the same time',
    note: `${machine}; medians of ${systems[0]?.rounds.length} rounds`,
    bars: systems.map(({ id, keeps, rounds }) => ({
      label: id,
      note: keeps,
      value: medianOf(rounds, 'both') ?? 0,
    })),
  });
