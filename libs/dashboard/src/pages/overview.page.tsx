import { Get, NotFoundException, Param, Query } from '@nestjs/common';
import type { VNode } from 'preact';
import { counted, grouped } from '#config';
import { type ContractTimes, type OutcomeCounts, QueueStore, Throughput } from '#records';
import { address } from '../addresses.js';
import { Board, type QueueRow } from '../board.js';
import { Chart } from '../components/chart.js';
import { ActionButton } from '../components/forms.js';
import { Page, Section, Tabs } from '../components/page.js';
import { type Column, Table } from '../components/table.js';
import { Badge, Count, durationOf, None, Text, Time } from '../components/values.js';
import { Action, DashboardController } from '../dashboard.guard.js';

/** What the chart may look back over: bars, and seconds of each. */
const ranges = {
  '1h': { steps: 60, stepS: 60, label: 'each minute, last hour' },
  '24h': { steps: 96, stepS: 900, label: 'each quarter of an hour, last 24 hours' },
  '7d': { steps: 84, stepS: 7_200, label: 'every two hours, last 7 days' },
};
type Range = keyof typeof ranges;

/** A queue whose oldest job waits longer than this is worth a word. */
const LONG_WAIT_MS = 5 * 60_000;

@DashboardController()
export class OverviewPage {
  constructor(
    private readonly board: Board,
    private readonly queues: QueueStore,
    private readonly throughput: Throughput,
  ) {}

  @Get()
  async show(@Query('range') asked: string): Promise<VNode> {
    const range: Range = Object.hasOwn(ranges, asked) ? (asked as Range) : '1h';
    const { steps, stepS, label } = ranges[range];
    const [{ queues, at, areOld }, tallies, times] = await Promise.all([
      this.board.figures(),
      this.throughput.since(steps, stepS),
      this.board.times(),
    ]);
    const tabs = Object.keys(ranges).map((name) => ({
      label: name,
      href: address('', { range: name }),
      isChosen: name === range,
    }));
    return (
      <Page
        title="Overview"
        here="Overview"
        live={address('/events')}
        actions={<Tabs about="Time" tabs={tabs} />}
      >
        <div class="stack">
          <Symptoms queues={queues} />
        </div>
        <Attempts queues={queues} tallies={tallies} label={label} />
        <Section title="Queues">
          <p class="hint">
            {areOld && ['As they were ', <Time at={at} />, '; they are being counted again.']}
          </p>
          <Table caption="Queues" columns={columns} rows={queues} />
        </Section>
        {times.length > 0 && (
          <Section title="How long jobs take">
            <p class="hint">
              Of the newest 20,000 jobs, those that succeeded: half of them, and 95 %, at most.
            </p>
            <Table caption="How long jobs take, by contract" columns={timeColumns} rows={times} />
          </Section>
        )}
      </Page>
    );
  }

  @Action('queues/:queue/pause', 'queue.pause', '/dashboard')
  async pause(@Param('queue') queue: string): Promise<void> {
    await this.mustExist(queue);
    await this.queues.pause(queue);
  }

  @Action('queues/:queue/resume', 'queue.resume', '/dashboard')
  async resume(@Param('queue') queue: string): Promise<void> {
    await this.mustExist(queue);
    await this.queues.resume(queue);
  }

  private async mustExist(queue: string): Promise<void> {
    const { queues } = await this.board.figures();
    if (!queues.some((row) => row.queue === queue)) throw new NotFoundException();
  }
}

interface AttemptsProps {
  queues: readonly QueueRow[];
  tallies: readonly (OutcomeCounts & { at: Date })[];
  label: string;
}

function Attempts({ queues, tallies, label }: AttemptsProps) {
  const sum = (outcome: keyof OutcomeCounts) => tallies.reduce((sum, tally) => sum + tally[outcome], 0);
  const now = (state: 'running' | 'queued') => queues.reduce((sum, queue) => sum + queue[state], 0);
  const figures: [label: string, value: number, kind?: string][] = [
    ['Succeeded', sum('succeeded'), 'green'],
    ['Failed, tried again', sum('retrying'), 'amber'],
    ['Failed for good', sum('dead'), 'red'],
    ['Running now', now('running')],
    ['Waiting now', now('queued')],
  ];
  const told = figures.slice(0, 3).map(([label, value]) => `${label}: ${grouped(value)}`);
  return (
    <Section title="Attempts">
      <div class="card">
        <dl class="sums">
          {figures.map(([label, value, kind]) => (
            <div>
              <dt>{label}</dt>
              <dd class={value > 0 ? kind : ''}>{grouped(value)}</dd>
            </div>
          ))}
        </dl>
        <Chart label={told.join('; ')} note={`${label}, times in UTC`} tallies={tallies} />
      </div>
    </Section>
  );
}

/** What is wrong, in words, with where to look; docs/operations.md says what to do. */
function Symptoms({ queues }: { queues: readonly QueueRow[] }) {
  if (queues.length > 0 && queues.every(({ consumers }) => consumers === null))
    return (
      <p class="problem">
        The broker does not answer. Jobs are accepted and recorded, and wait until it does.
      </p>
    );
  return <>{queues.map(Symptom)}</>;
}

function Symptom({ queue, queued, paused, oldestWaiting, advice }: QueueRow) {
  const waits = [<strong>{queue}</strong>, `: ${counted(queued, 'job waits', 'jobs wait')}, `];
  if (advice !== null)
    return (
      <p class={queued > 0 ? 'problem' : 'warning'}>
        {waits[0]}: {advice}.
      </p>
    );
  if (queued === 0) return null;
  if (paused) return <p class="warning">{waits}because the queue is paused.</p>;
  if (!oldestWaiting || Date.now() - oldestWaiting.getTime() < LONG_WAIT_MS) return null;
  return <p class="warning">{[waits, 'the oldest since ', <Time at={oldestWaiting} />, '.']}</p>;
}

type CountedState = 'queued' | 'running' | 'retrying' | 'scheduled' | 'dead';

/** How many jobs of a queue are in a state, leading to them. */
const counts = (label: string, state: CountedState, kind?: string): Column<QueueRow> => [
  label,
  (row) => <Count of={row[state]} kind={kind} to={address('/jobs', { state, queue: row.queue })} />,
  'number',
];

const columns: Column<QueueRow>[] = [
  [
    'Queue',
    ({ queue, paused }) => (
      <>
        <Text to={address('/jobs', { queue })} of={queue} kind="name" /> {paused && <Badge state="paused" />}
      </>
    ),
  ],
  counts('Ready', 'queued'),
  counts('Running', 'running'),
  counts('Retrying', 'retrying', 'amber'),
  counts('Scheduled', 'scheduled'),
  counts('Dead', 'dead', 'red'),
  ['Oldest wait', 'oldestWaiting'],
  [
    'Consumers',
    ({ consumers }) => (consumers === null ? <None of="?" title="The broker does not answer" /> : consumers),
    'number',
  ],
  ['Done, 1 h', ({ lastHour }) => lastHour?.succeeded ?? 0, 'number'],
  [
    'Failed, 1 h',
    ({ lastHour }) => <Count of={(lastHour?.retrying ?? 0) + (lastHour?.dead ?? 0)} kind="amber" />,
    'number',
  ],
  ['Actions', (row) => <PauseOrResume {...row} />, 'actions'],
];

const taken = (label: string, of: 'waited' | 'ran', index: 0 | 1): Column<ContractTimes> => [
  label,
  (row) => durationOf(row[of][index]),
  'number',
];
const timeColumns: Column<ContractTimes>[] = [
  ['Contract', ({ name }) => <Text to={address('/jobs', { name })} of={name} kind="name" />],
  ['Jobs', 'count', 'number'],
  taken('Waited, p50', 'waited', 0),
  taken('Waited, p95', 'waited', 1),
  taken('Ran, p50', 'ran', 0),
  taken('Ran, p95', 'ran', 1),
];

function PauseOrResume({ queue, paused }: QueueRow) {
  const path = `/dashboard/queues/${encodeURIComponent(queue)}`;
  return paused ? (
    <ActionButton to={`${path}/resume`} label="Resume" about={queue} kind="primary" />
  ) : (
    <ActionButton to={`${path}/pause`} label="Pause" about={queue} />
  );
}
