import { Get, Query } from '@nestjs/common';
import type { VNode } from 'preact';
import { grouped } from '#config';
import { Audit, type AuditLine } from '#records';
import { Id } from '#resources';
import { address, jobPath } from '../addresses.js';
import { Page, Paging } from '../components/page.js';
import { type Column, Table } from '../components/table.js';
import { Badge, None, Text } from '../components/values.js';
import { DashboardController } from '../dashboard.guard.js';

const PAGE_SIZE = 100;

/** Who did what, by whatever way. */
@DashboardController('/audit')
export class AuditPage {
  constructor(private readonly audit: Audit) {}

  @Get()
  async show(@Query('before') before: unknown): Promise<VNode> {
    const start = typeof before === 'string' && /^\d{1,18}$/.test(before) ? before : undefined;
    const lines = await this.audit.list(PAGE_SIZE, start);
    const last = lines.length === PAGE_SIZE ? lines.at(-1) : undefined;
    return (
      <Page title="Audit" here="Audit">
        <p class="hint">What people did here, over HTTP and on the command line. The log has the same.</p>
        <Table
          caption="Actions, newest first"
          columns={columns}
          rows={lines}
          empty={['Nobody did anything yet']}
        />
        <Paging to={address('/audit')} before={start} next={last?.id} />
      </Page>
    );
  }
}

const isJob = ({ action, subject }: AuditLine) => action.startsWith('job.') && Id.safeParse(subject).success;

const columns: Column<AuditLine>[] = [
  [
    'Action',
    ({ action, refusal }) => (
      <>
        <strong>{action}</strong> {refusal && <Badge state="refused" title={refusal} />}
      </>
    ),
  ],
  ['When', 'at'],
  ['Who', ({ actor }) => <Text of={actor} kind="id" />],
  ['By way of', 'via'],
  [
    'To what',
    (line) =>
      isJob(line) ? (
        <Text to={jobPath(line.subject)} of={line.subject} kind="id" />
      ) : (
        <Text of={line.subject} kind="id" />
      ),
    'wide',
  ],
  [
    'Changed',
    ({ count }) => (count === null ? <None of="?" title="It runs, or was cut off" /> : grouped(count)),
    'number',
  ],
];
