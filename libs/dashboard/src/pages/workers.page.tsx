import { Get, NotFoundException, Param } from '@nestjs/common';
import type { VNode } from 'preact';
import { grouped } from '#config';
import { WorkerStore, type WorkerView } from '#records';
import { address } from '../addresses.js';
import { ActionButton } from '../components/forms.js';
import { Page, Section } from '../components/page.js';
import { type Column, Table } from '../components/table.js';
import { Badge, JobName, Text, Time } from '../components/values.js';
import { Action, DashboardController } from '../dashboard.guard.js';

/** An event loop that is held up longer than this delays heartbeats and everybody else's jobs. */
const HIGH_LAG_MS = 500;
/** A worker reports every few seconds. */
const SILENT_MS = 30_000;
const NONE = [
  'No worker is alive',
  'Jobs are accepted and wait. Start one: node dist/apps/worker/main.js',
] as const;

@DashboardController('/workers')
export class WorkersPage {
  constructor(private readonly workers: WorkerStore) {}

  @Get()
  async show(): Promise<VNode> {
    const workers = await this.workers.list();
    return (
      <Page title="Workers" here="Workers" live={address('/events')}>
        <Table caption="Workers" columns={columns} rows={workers} empty={NONE} />
        {workers.filter(({ jobs }) => jobs.length > 0).map(Running)}
      </Page>
    );
  }

  @Action(':worker/quiet', 'worker.quiet', '/dashboard/workers')
  quiet(@Param('worker') worker: string): Promise<void> {
    return this.ask(worker, 'quiet');
  }

  @Action(':worker/unquiet', 'worker.unquiet', '/dashboard/workers')
  unquiet(@Param('worker') worker: string): Promise<void> {
    return this.ask(worker, 'working');
  }

  @Action(':worker/stop', 'worker.stop', '/dashboard/workers')
  stop(@Param('worker') worker: string): Promise<void> {
    return this.ask(worker, 'stopping');
  }

  private async ask(worker: string, state: WorkerView['state']): Promise<void> {
    if (!(await this.workers.ask(worker, state))) throw new NotFoundException();
  }
}

const columns: Column<WorkerView>[] = [
  [
    'Worker',
    ({ name, state }) => (
      <>
        <strong>{name}</strong> {state !== 'working' && <Badge state={state} />}
      </>
    ),
  ],
  ['Queues', ({ queues }) => queues.join(', ')],
  ['Running', 'running', 'number'],
  [
    'Event-loop lag',
    ({ eventLoopLagMs: lag }) => (
      <Text of={`${grouped(Math.round(lag))} ms`} kind={lag > HIGH_LAG_MS ? 'red' : ''} />
    ),
    'number',
  ],
  ['Memory', ({ rssBytes }) => `${grouped(Math.round(rssBytes / 1_048_576))} MB`, 'number'],
  ['Started', 'startedAt'],
  [
    'Heard of',
    ({ lastSeen }) => (
      <span class={Date.now() - lastSeen.getTime() > SILENT_MS ? 'red' : ''}>
        <Time at={lastSeen} />
      </span>
    ),
  ],
  ['Actions', (worker) => <QuietOrStop {...worker} />, 'actions'],
];

function QuietOrStop({ id, name, state }: WorkerView) {
  if (state === 'stopping') return null;
  const path = `/dashboard/workers/${id}`;
  const [action, label] = state === 'quiet' ? ['unquiet', 'Unquiet'] : ['quiet', 'Quiet'];
  return (
    <>
      <ActionButton to={`${path}/${action}`} label={label} about={name} />
      <ActionButton to={`${path}/stop`} label="Stop" about={name} kind="danger" />
    </>
  );
}

const jobColumns: Column<WorkerView['jobs'][number]>[] = [
  ['Job', (job) => <JobName {...job} />],
  ['Queue', 'queue'],
  ['Attempt', 'attempt', 'number'],
  ['Started', 'startedAt'],
];

const Running = ({ name, jobs, running }: WorkerView) => (
  <Section title={`Runs on ${name}`}>
    <Table caption={`Jobs that run on ${name}`} columns={jobColumns} rows={jobs} />
    {running > jobs.length && <p class="hint">Those that run for the longest, of {grouped(running)}.</p>}
  </Section>
);
