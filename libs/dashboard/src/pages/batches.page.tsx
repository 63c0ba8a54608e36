import { Get, NotFoundException, Param, Query } from '@nestjs/common';
import type { VNode } from 'preact';
import { BatchStore, type BatchView } from '#batches';
import { grouped } from '#config';
import { hasEnded, jobStates } from '#records';
import { Id } from '#resources';
import { address } from '../addresses.js';
import { ActionButton } from '../components/forms.js';
import { Page, Paging } from '../components/page.js';
import { type Column, Facts, Table } from '../components/table.js';
import { Badge, Count, duration, JobLink, None, Progress, Text, Time } from '../components/values.js';
import { Action, DashboardController } from '../dashboard.guard.js';

const PAGE_SIZE = 20;
const NONE = ['No batches', 'POST /batches makes one: many jobs that are counted together.'] as const;

@DashboardController('/batches')
export class BatchesPage {
  constructor(private readonly batches: BatchStore) {}

  @Get()
  async list(@Query('before') before: unknown): Promise<VNode> {
    const start = Id.safeParse(before).data;
    const batches = await this.batches.list(PAGE_SIZE, start);
    const last = batches.length === PAGE_SIZE ? batches.at(-1) : undefined;
    return (
      <Page title="Batches" here="Batches" live={address('/events')}>
        <Table caption="Batches, newest first" columns={columns} rows={batches} empty={NONE} />
        <Paging to={address('/batches')} before={start} next={last?.id} />
      </Page>
    );
  }

  @Get(':id')
  async show(@Param('id') id: string): Promise<VNode> {
    const batch = await this.find(id);
    const states = jobStates.filter((state) => batch.counts[state] > 0);
    const cancel = !batch.completedAt && (
      <ActionButton to={`${pathOf(batch)}/cancel`} label="Cancel what has not ended" kind="danger" />
    );
    return (
      <Page
        title={`Batch of ${batch.name}`}
        id={id}
        here="Batches"
        live={address('/events')}
        actions={cancel}
      >
        <BatchFacts {...batch} />
        <Table
          caption="Jobs by state"
          columns={stateColumns}
          rows={states.map((state) => ({ state, batch: id, count: batch.counts[state] }))}
        />
        <Text to={address('/jobs', { batch: id })} of="All jobs of this batch" />
      </Page>
    );
  }

  @Action(':id/cancel', 'batch.cancel')
  async cancel(@Param('id') id: string) {
    const batch = await this.find(id);
    const isOpen = await this.batches.cancel(id);
    return { url: pathOf(batch), count: isOpen ? 1 : 0 };
  }

  private async find(id: string): Promise<BatchView> {
    const batch = Id.safeParse(id).success ? await this.batches.find(id) : undefined;
    if (!batch) throw new NotFoundException();
    return batch;
  }
}

const pathOf = ({ id }: BatchView) => address(`/batches/${id}`);

const columns: Column<BatchView>[] = [
  [
    'Batch',
    (batch) => [
      <Text to={pathOf(batch)} of={batch.name} kind="name" />,
      ' ',
      <Text of={`…${batch.id.slice(-12)}`} kind="id" />,
    ],
  ],
  ['Jobs', 'total', 'number'],
  ['Ended', (batch) => <Ended {...batch} />],
  ['Dead', ({ counts }) => <Count of={counts.dead} kind="red" />, 'number'],
  ['Created', 'createdAt'],
  ['Complete', ({ completedAt }) => (completedAt ? <Time at={completedAt} /> : <None of="not yet" />)],
];

const stateColumns: Column<{ state: string; batch: string; count: number }>[] = [
  ['State', ({ state }) => <Badge state={state} />],
  [
    'Jobs',
    ({ state, batch, count }) => <Count of={count} to={address('/jobs', { state, batch })} />,
    'number',
  ],
];

const BatchFacts = (batch: BatchView) => (
  <Facts
    of={{
      Jobs: grouped(batch.total),
      Ended: <Ended {...batch} />,
      Created: batch.createdAt,
      Complete: batch.completedAt && batch.completedAt,
      Duration: batch.completedAt && duration(batch.createdAt, batch.completedAt),
      Cancelled: batch.cancelledAt && batch.cancelledAt,
      'When all have ended': batch.onComplete && <JobLink id={batch.onComplete} />,
      'When all have succeeded': batch.onSuccess && <JobLink id={batch.onSuccess} />,
    }}
  />
);

function Ended({ counts, total }: BatchView) {
  const ended = jobStates.filter(hasEnded).reduce((sum, state) => sum + counts[state], 0);
  return (
    <Progress
      of={ended / total}
      text={`${grouped(ended)} of ${grouped(total)}`}
      label="Jobs that have ended"
    />
  );
}
