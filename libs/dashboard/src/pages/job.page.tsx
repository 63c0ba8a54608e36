import { Body, Get, NotFoundException, Param, Query } from '@nestjs/common';
import type { VNode } from 'preact';
import { parse } from 'secure-json-parse';
import { grouped } from '#config';
import { Jobs } from '#jobs';
import {
  BulkStore,
  DeadJobStore,
  hasEnded,
  JobLogStore,
  JobQueries,
  JobStore,
  type JobView,
  type MessageView,
} from '#records';
import { address, jobPath } from '../addresses.js';
import { ActionButton } from '../components/forms.js';
import { JobLog, SHOWN_LINES } from '../components/log.js';
import { Page, Section } from '../components/page.js';
import { Facts } from '../components/table.js';
import { Timeline } from '../components/timeline.js';
import {
  Badge,
  duration,
  Failure,
  JobLink,
  JobName,
  Long,
  Progress,
  shown,
  Tags,
  Text,
} from '../components/values.js';
import { useMayAct } from '../components/viewer.js';
import { Action, DashboardController } from '../dashboard.guard.js';

/** What an action led to, by the word that the address carries. */
const notices: Record<string, string> = {
  cancelled: 'Cancelled. A job that runs is told within a second, and ends when its handler does.',
  replayed: 'Sent back to work, with attempts counted from zero.',
  discarded: 'Given up for good. The record stays.',
  hurried: 'Starts now.',
  again: 'Enqueued again, as this job.',
  held: 'Nothing was changed: another job holds its unique key. Replay it when that one has ended.',
  late: 'Nothing was changed: the job had moved on by then.',
};

@DashboardController('/jobs/:id')
export class JobPage {
  constructor(
    private readonly views: JobQueries,
    private readonly logs: JobLogStore,
    private readonly records: JobStore,
    private readonly bulk: BulkStore,
    private readonly dead: DeadJobStore,
    private readonly jobs: Jobs,
  ) {}

  @Get()
  async show(@Param('id') id: string, @Query('done') done: string): Promise<VNode> {
    const job = await this.find(id);
    const message = await this.views.messageOf(job);
    const lines = await this.logs.of(id, { limit: SHOWN_LINES });
    const isOver = hasEnded(job.state) && job.state !== 'dead';
    return (
      <Page
        title={job.name}
        id={id}
        here="Jobs"
        live={isOver ? undefined : `${jobPath(id)}/events`}
        notice={Object.hasOwn(notices, done) ? notices[done] : undefined}
        actions={<Actions {...job} />}
      >
        <JobFacts {...job} />
        <div class="columns">
          <Section title="Timeline">
            <Timeline {...job} />
          </Section>
          <div class="stack">
            <Value title="Payload" of={job.payload} />
            {job.upgradedPayload !== undefined && (
              <Value title="Payload, upgraded" of={job.upgradedPayload} />
            )}
            {job.originalPayload !== undefined && (
              <Value title="Payload, before it was edited" of={job.originalPayload} />
            )}
            {message && <Received {...message} />}
            {job.previous && <Value title="Result of the job before" of={job.previous.result} />}
            {job.state === 'succeeded' && <Value title="Result" of={job.result} />}
          </div>
        </div>
        <JobLog lines={lines} />
      </Page>
    );
  }

  @Action('cancel', 'job.cancel')
  cancel(@Param('id') id: string) {
    return this.change(id, 'cancelled', async () => (await this.records.cancel([id])).length);
  }

  @Action('start', 'job.reschedule')
  start(@Param('id') id: string) {
    return this.change(id, 'hurried', async () => (await this.bulk.reschedule({ ids: [id] }, {})).count);
  }

  @Action('replay', 'job.replay')
  replay(@Param('id') id: string, @Body() { payload }: { payload?: string } = {}) {
    const edit = this.jobs.editOf({ payload: payload === undefined ? undefined : parse(payload) }, true);
    return this.change(id, 'replayed', () => this.dead.replay({ ids: [id] }, { edit }));
  }

  @Action('rerun', 'job.rerun')
  async rerun(@Param('id') id: string, @Body() { payload }: { payload?: string } = {}) {
    const edit = { payload: payload === undefined ? undefined : parse(payload) };
    const job = await this.jobs.rerun(id, edit);
    return { url: `${jobPath(job.id)}?done=again`, count: 1 };
  }

  @Action('discard', 'job.discard')
  discard(@Param('id') id: string) {
    return this.change(id, 'discarded', () => this.dead.discard({ ids: [id] }));
  }

  private async change(id: string, done: string, task: () => Promise<number>) {
    await this.find(id);
    const count = await task();
    const isHeld = count === 0 && done === 'replayed' && (await this.dead.keyHolder(id));
    return { url: `${jobPath(id)}?done=${count > 0 ? done : isHeld ? 'held' : 'late'}`, count };
  }

  private async find(id: string): Promise<JobView> {
    const job = await this.jobs.find(id);
    if (!job) throw new NotFoundException();
    return job;
  }
}

const Actions = ({ id, state, cancelRequestedAt }: JobView) => (
  <>
    {state === 'dead' && <ActionButton to={`${jobPath(id)}/replay`} label="Replay" kind="primary" />}
    {state === 'dead' && <ActionButton to={`${jobPath(id)}/discard`} label="Discard" kind="danger" />}
    {state === 'scheduled' && <ActionButton to={`${jobPath(id)}/start`} label="Start now" kind="primary" />}
    {hasEnded(state) && <ActionButton to={`${jobPath(id)}/rerun`} label="Run again" />}
    {hasEnded(state) && useMayAct() && (
      <Text to={`${jobPath(id)}/edit`} of="Edit and run again" kind="button" />
    )}
    {!hasEnded(state) && !cancelRequestedAt && (
      <ActionButton to={`${jobPath(id)}/cancel`} label="Cancel" kind="danger" />
    )}
  </>
);

const JobFacts = (job: JobView) => (
  <section class="facts" aria-label="State">
    <Facts
      of={{
        State: <Badge state={job.state} />,
        'Waiting for': job.waitingFor && `${job.waitingFor.what}: ${job.waitingFor.detail}`,
        'Asked to stop': job.cancelRequestedAt && !hasEnded(job.state) && job.cancelRequestedAt,
        Queue: <Text to={address('/jobs', { queue: job.queue })} of={job.queue} />,
        Priority: job.priority !== 'normal' && job.priority,
        Version: job.version > 1 && String(job.version),
        Attempt: `${job.attempt} of ${job.maxAttempts}`,
        Enqueued: job.createdAt,
        Starts: job.state === 'scheduled' && job.runAt,
        'Next attempt': job.state === 'retrying' && job.runAt,
        Waited: job.startedAt && job.startedAt >= job.runAt && duration(job.runAt, job.startedAt),
        Started: job.startedAt,
        Ended: job.finishedAt && job.finishedAt,
        Duration: duration(job.startedAt, job.finishedAt) || null,
        Batch: job.batch && (
          <Text to={address(`/batches/${job.batch}`)} of={`…${job.batch.slice(-12)}`} kind="id" />
        ),
        Follows: job.previous && <JobName {...job.previous} />,
        Then: job.next && <JobLink id={job.next} />,
        'Rerun of': job.rerunOf && <JobLink id={job.rerunOf} />,
        Tags: job.tags.length > 0 && <Tags of={job.tags} />,
        Trace: job.traceId && <Text of={job.traceId} kind="id" />,
      }}
    />
    {job.progress !== null && (
      <p>
        <Progress of={job.progress} /> <Text of={job.progressNote ?? ''} kind="hint" />
      </p>
    )}
    {job.error && <Failure kind="problem" error={job.error} />}
  </section>
);

const Value = ({ title, of }: { title: string; of: unknown }) => (
  <Section title={title}>
    <Long text={shown(of)} />
  </Section>
);

function Received({ properties, headers, size, body, encoding }: MessageView) {
  const form = encoding === 'hex' ? ', in hexadecimal digits' : '';
  const part = size > Buffer.byteLength(body) ? ', the beginning' : '';
  return (
    <Section title="Message as it was received">
      <p class="hint">{`Body, ${grouped(size)} bytes${form}${part}`}</p>
      <Long text={body} />
      <p class="hint">Properties and headers</p>
      <Long text={shown({ ...properties, headers })} />
    </Section>
  );
}
