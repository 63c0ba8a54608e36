import { Get, Query, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { Contracts } from '#jobs';
import { type FoundJob, JobSearch, type JobState, jobStates } from '#records';
import { Board } from './board.js';
import { DashboardController, Visitor } from './dashboard.guard.js';
import { attribute, type Html, html } from './html.js';
import { page } from './layout.js';
import {
  address,
  badge,
  duration,
  empty,
  jobLink,
  jobPath,
  number,
  optionalText,
  table,
  time,
} from './parts.js';

const PAGE_SIZE = 50;

const Filter = z.object({
  state: z.enum(jobStates).optional().catch(undefined),
  name: optionalText,
  queue: optionalText,
  batch: z.uuid().optional().catch(undefined),
  before: z.uuid().optional().catch(undefined),
  id: optionalText,
});

@DashboardController('/jobs')
export class JobsPage {
  constructor(
    private readonly search: JobSearch,
    private readonly board: Board,
    private readonly contracts: Contracts,
  ) {}

  @Get()
  async show(
    @Visitor() visitor: Visitor,
    @Query() query: unknown,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Html | undefined> {
    const filter = Filter.parse(query);
    if (filter.id) return void reply.redirect(jobPath(filter.id), 303);
    const [{ items, next, isCutOff, lookedBackTo }, counts] = await Promise.all([
      this.search.find({ ...filter, limit: PAGE_SIZE }),
      this.countStates(),
    ]);
    const link = (changes: Partial<typeof filter>) =>
      address('/dashboard/jobs', { ...filter, before: undefined, ...changes });
    return page({
      title: 'Jobs',
      visitor,
      here: 'jobs',
      body: html`<div class="head"><h1>Jobs</h1>
<form class="find" method="get" action="/dashboard/jobs" role="search">
<label><span class="unseen">Id of a job</span><input type="search" name="id" placeholder="Id of a job" spellcheck="false" autocomplete="off"></label>
<button>Go</button></form></div>
<nav class="tabs" aria-label="States"><ul>
<li><a href="${link({ state: undefined })}" ${attribute('aria-current', !filter.state, 'true')}>all</a></li>
${jobStates.map(
  (state) =>
    html`<li><a href="${link({ state })}" ${attribute('aria-current', state === filter.state, 'true')}>${state}${tally(counts.get(state))}</a></li>`,
)}</ul></nav>
<form class="filters" method="get" action="/dashboard/jobs">
${filter.state && html`<input type="hidden" name="state" value="${filter.state}">`}
${filter.batch && html`<input type="hidden" name="batch" value="${filter.batch}">`}
<label>Name<input name="name" list="names" value="${filter.name}" placeholder="any" autocomplete="off" spellcheck="false"></label>
<label>Queue<select name="queue"><option value="">any</option>${this.queueNames(filter.queue).map(
        (queue) => html`<option ${attribute('selected', queue === filter.queue)}>${queue}</option>`,
      )}</select></label>
<button>Filter</button>
${(filter.name || filter.queue || filter.batch) && html`<a href="${link({ name: undefined, queue: undefined, batch: undefined })}">Clear</a>`}
<datalist id="names">${[...this.contracts].map(({ name }) => html`<option value="${name}"></option>`)}</datalist>
</form>
${filter.batch && html`<p class="hint">Of the batch <a class="id" href="/dashboard/batches/${filter.batch}">${filter.batch}</a></p>`}
${items.length > 0 ? table('Jobs, newest first', columns, items.map(row)) : !isCutOff && empty('No jobs here', filter.before ? 'You have seen the oldest.' : 'Nothing fits these filters.')}
${isCutOff && html`<p class="hint">Looked back as far as ${time(lookedBackTo)}; there may be more further back.</p>`}
<nav class="paging" aria-label="Paging">
${filter.before && html`<a class="button" href="${link({})}">Newest</a>`}
${next && html`<a class="button" href="${link({ before: next })}">${isCutOff ? 'Look further back' : 'Older'}</a>`}
</nav>`,
    });
  }

  /** Of the states that end a job well there may be very many: nobody counts those. Old counts are better left out. */
  private async countStates(): Promise<Map<JobState, number>> {
    const { queues, areOld } = await this.board.figures();
    if (areOld) return new Map();
    const states = ['scheduled', 'queued', 'running', 'retrying', 'dead'] as const;
    return new Map(states.map((state) => [state, queues.reduce((sum, queue) => sum + queue[state], 0)]));
  }

  private queueNames(chosen: string | undefined): string[] {
    return [...new Set([...this.contracts.queues.keys(), ...(chosen ? [chosen] : [])])].sort();
  }
}

const tally = (count: number | undefined) =>
  Boolean(count) && html` <span class="tally">${number(count ?? 0)}</span>`;

const columns = [
  'Job',
  'State',
  'Queue',
  { label: 'Attempt', kind: 'number' },
  'Made',
  { label: 'Took', kind: 'number' },
  { label: 'Note', kind: 'wide' },
] as const;

const row = (job: FoundJob) => [
  html`<a class="name" href="${jobPath(job.id)}">${job.name}</a> ${jobLink(job.id)}`,
  badge(job.state),
  job.queue,
  html`${job.attempt}<span class="of">/${job.maxAttempts}</span>`,
  time(job.createdAt),
  job.state === 'running' ? '' : duration(job.startedAt, job.finishedAt),
  noteOf(job),
];

function noteOf({ state, runAt, progress, error }: FoundJob) {
  if (state === 'scheduled') return html`starts ${time(runAt)}`;
  if (state === 'running' && progress !== null) {
    return html`<progress max="1" value="${progress}" aria-label="Progress"></progress> ${Math.round(progress * 100)} %`;
  }
  if (state === 'retrying') return html`again ${time(runAt)}; <span class="error">${error}</span>`;
  return error && html`<span class="error">${error}</span>`;
}
