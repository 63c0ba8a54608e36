import { Get, Query, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import type { VNode } from 'preact';
import { z } from 'zod';
import { Contracts } from '#jobs';
import { type FoundJob, JobSearch, type JobState, jobStates } from '#records';
import { address, jobPath, optionalText } from '../addresses.js';
import { Board } from '../board.js';
import { Field, Filters } from '../components/forms.js';
import { Choices, meant, noticeOf } from '../components/many.js';
import { Page, Paging, Tabs } from '../components/page.js';
import { type Column, Table } from '../components/table.js';
import { Badge, duration, JobName, Progress, Tags, Text, Time } from '../components/values.js';
import { DashboardController } from '../dashboard.guard.js';
import { MANY_JOBS } from './many-jobs.page.js';

const PAGE_SIZE = 50;

const Filter = z.object({
  state: z.enum(jobStates).optional().catch(undefined),
  name: optionalText,
  queue: optionalText,
  batch: z.uuid().optional().catch(undefined),
  tag: optionalText,
  where: optionalText,
  before: z.uuid().optional().catch(undefined),
  id: optionalText,
});
type Filter = z.output<typeof Filter>;

@DashboardController('/jobs')
export class JobsPage {
  constructor(
    private readonly search: JobSearch,
    private readonly board: Board,
    private readonly contracts: Contracts,
  ) {}

  @Get()
  async show(
    @Query() query: Record<string, unknown>,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<VNode | undefined> {
    const filter = Filter.parse(query);
    if (filter.id) return void reply.redirect(jobPath(filter.id), 303);
    const [{ items, next, isCutOff, lookedBackTo }, counts, tags] = await Promise.all([
      this.search.find({ ...meant(filter), limit: PAGE_SIZE }),
      this.countStates(),
      this.search.tags(),
    ]);
    const { state, name, queue, tag, where } = filter;
    const selection = { state, name, queue, tag, where };
    const isSelection = !filter.batch && Object.values(selection).some((value) => value !== undefined);
    const none = filter.before ? 'You have seen the oldest.' : 'Nothing fits these filters.';
    return (
      <Page
        title="Jobs"
        here="Jobs"
        notice={noticeOf(MANY_JOBS, query)}
        actions={
          <>
            <Text to={address('/enqueue', { name })} of="Enqueue" kind="button" />
            {isSelection && <Choices of={MANY_JOBS} selection={selection} what="…" />}
          </>
        }
      >
        <States filter={filter} counts={counts} />
        {this.filters(
          filter,
          tags.items.map(({ tag }) => tag),
        )}
        <Table
          caption="Jobs, newest first"
          columns={columns}
          rows={items}
          empty={['No jobs here', isCutOff ? undefined : none]}
        />
        {isCutOff && (
          <p class="hint">
            Looked back as far as <Time at={lookedBackTo} />; there may be more further back.
          </p>
        )}
        <Paging
          to={addressOf(filter)}
          before={filter.before}
          next={next}
          label={isCutOff ? 'Look further back' : undefined}
        />
      </Page>
    );
  }

  /** Of the states that end a job well there may be very many: nobody counts those. Old counts are better left out. */
  private async countStates(): Promise<Map<JobState, number>> {
    const { queues, areOld } = await this.board.figures();
    if (areOld) return new Map();
    const states = ['scheduled', 'queued', 'running', 'retrying', 'dead'] as const;
    return new Map(states.map((state) => [state, queues.reduce((sum, queue) => sum + queue[state], 0)]));
  }

  private filters(filter: Filter, tags: string[]): VNode {
    const { state, batch, name, queue, tag, where } = filter;
    const isFiltered = name || queue || batch || tag || where;
    const all = address('/jobs', { state });
    const names = [...this.contracts].map(({ name }) => name);
    return (
      <Filters to={address('/jobs')} fields={{ state, batch }} clear={isFiltered ? all : undefined}>
        <Field label="Name" name="name" value={name} placeholder="any" suggestions={names} />
        <Field
          label="Queue"
          name="queue"
          value={queue}
          placeholder="any"
          suggestions={[...this.contracts.queues.keys()].sort()}
        />
        <Field label="Tag" name="tag" value={tag} placeholder="any" suggestions={tags} />
        <Field label="Payload has" name="where" value={where} placeholder="/customer/id:42" />
        <Field label="Id of a job" name="id" placeholder="goes there" />
        {batch && <Text to={address(`/batches/${batch}`)} of={`of the batch …${batch.slice(-12)}`} />}
      </Filters>
    );
  }
}

const addressOf = (filter: Filter, changes: Partial<Filter> = {}) =>
  address('/jobs', { ...filter, before: undefined, ...changes });

const States = ({ filter, counts }: { filter: Filter; counts: Map<JobState, number> }) => (
  <Tabs
    about="States"
    tabs={[undefined, ...jobStates].map((state) => ({
      label: state ?? 'all',
      href: addressOf(filter, { state }),
      isChosen: state === filter.state,
      count: state && counts.get(state),
    }))}
  />
);

const columns: Column<FoundJob>[] = [
  ['Job', (job) => [<JobName {...job} />, ' ', <Tags of={job.tags} />]],
  ['State', ({ state }) => <Badge state={state} />],
  ['Queue', 'queue'],
  ['Attempt', ({ attempt, maxAttempts }) => `${attempt}/${maxAttempts}`, 'number'],
  ['Enqueued', 'createdAt'],
  [
    'Duration',
    ({ startedAt, finishedAt, state }) => state !== 'running' && duration(startedAt, finishedAt),
    'number',
  ],
  ['Note', (job) => noteOf(job), 'wide'],
];

function noteOf({ state, runAt, progress, error }: FoundJob) {
  if (state === 'scheduled') return ['starts ', <Time at={runAt} />];
  if (state === 'running' && progress !== null) return <Progress of={progress} />;
  const said = error ? <Text of={error} kind="error" /> : '';
  return state === 'retrying' ? ['again ', <Time at={runAt} />, '; ', said] : said;
}
