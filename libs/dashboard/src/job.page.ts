import { Get, NotFoundException, Param, Post, Query, Redirect } from '@nestjs/common';
import { Audited, Id } from '#http';
import {
  type AttemptView,
  DeadJobStore,
  hasEnded,
  JobQueries,
  JobStore,
  type JobView,
  type MessageView,
} from '#records';
import { DashboardController, Visitor } from './dashboard.guard.js';
import { type Html, html, type Value } from './html.js';
import { actionForm, page } from './layout.js';
import { badge, duration, failure, jobLink, jobPath, number, time } from './parts.js';
import { shownJson } from './shown.js';

/** What an action led to, by the word that the address carries. */
const notices: Record<string, string> = {
  cancelled: 'Cancelled. A job that runs is told within a second, and ends when its handler does.',
  replayed: 'Sent back to work, with attempts counted from zero.',
  discarded: 'Given up for good. The record stays.',
  hurried: 'Starts now.',
  held: 'Nothing was changed: another job holds its unique key. Replay it when that one has ended.',
  late: 'Nothing was changed: the job had moved on by then.',
};

@DashboardController('/jobs/:id')
export class JobPage {
  constructor(
    private readonly views: JobQueries,
    private readonly records: JobStore,
    private readonly dead: DeadJobStore,
  ) {}

  @Get()
  async show(
    @Visitor() visitor: Visitor,
    @Param('id') id: string,
    @Query('done') done: string,
  ): Promise<Html> {
    const job = await this.find(id);
    const message = await this.views.messageOf(job);
    return page({
      title: `${job.name} ${id.slice(-12)}`,
      visitor,
      here: 'jobs',
      live: hasEnded(job.state) && job.state !== 'dead' ? undefined : `${jobPath(id)}/events`,
      notice: Object.hasOwn(notices, done) ? notices[done] : undefined,
      body: html`<div class="head"><div><h1>${job.name}</h1><p class="id">${job.id}</p></div>
<div class="actions" data-live="actions">${actions(visitor, job)}</div></div>
<section data-live="facts" aria-label="State">${facts(job)}</section>
<div class="columns">
<section aria-labelledby="timeline"><h2 id="timeline">Timeline</h2><ol class="timeline" data-live="timeline">${timeline(job)}</ol></section>
<div data-live="data">
<section aria-labelledby="payload"><h2 id="payload">Payload</h2><pre tabindex="0">${shownJson(job.payload)}</pre></section>
${message && received(message)}
${job.previous && html`<section aria-labelledby="previous"><h2 id="previous">Result of the job before</h2><pre tabindex="0">${shownJson(job.previous.result)}</pre></section>`}
${job.state === 'succeeded' && html`<section aria-labelledby="result"><h2 id="result">Result</h2><pre tabindex="0">${shownJson(job.result)}</pre></section>`}
</div></div>`,
    });
  }

  @Post('cancel')
  @Audited('job.cancel')
  @Redirect('', 303)
  cancel(@Param('id') id: string) {
    return this.change(id, 'cancelled', async () => (await this.records.cancel([id])).length);
  }

  @Post('start')
  @Audited('job.reschedule')
  @Redirect('', 303)
  start(@Param('id') id: string) {
    return this.change(id, 'hurried', async () =>
      (await this.records.reschedule(id, { delayMs: 0 })) ? 1 : 0,
    );
  }

  @Post('replay')
  @Audited('job.replay')
  @Redirect('', 303)
  replay(@Param('id') id: string) {
    return this.change(id, 'replayed', () => this.dead.replay({ ids: [id] }));
  }

  @Post('discard')
  @Audited('job.discard')
  @Redirect('', 303)
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
    const job = Id.safeParse(id).success ? await this.views.find(id) : undefined;
    if (!job) throw new NotFoundException();
    return job;
  }
}

function actions(visitor: Visitor, { id, state, cancelRequestedAt }: JobView): Value {
  const button = (what: string, label: string, kind?: 'danger' | 'primary') =>
    actionForm(visitor, `${jobPath(id)}/${what}`, label, { kind });
  if (state === 'dead')
    return [button('replay', 'Replay', 'primary'), button('discard', 'Discard', 'danger')];
  if (hasEnded(state)) return null;
  return [
    state === 'scheduled' && button('start', 'Start now', 'primary'),
    !cancelRequestedAt && button('cancel', 'Cancel', 'danger'),
  ];
}

function facts(job: JobView): Html {
  const fact = (label: string, value: Value) => html`<div><dt>${label}</dt><dd>${value}</dd></div>`;
  return html`<dl class="facts">
${fact('State', html`${badge(job.state)}${job.cancelRequestedAt && !hasEnded(job.state) && html` <span class="hint">to be cancelled, asked ${time(job.cancelRequestedAt)}</span>`}`)}
${fact('Queue', html`<a href="/dashboard/jobs?queue=${encodeURIComponent(job.queue)}">${job.queue}</a>${job.priority !== 'normal' && ` (${job.priority} priority)`}`)}
${fact('Attempt', html`${job.attempt} of ${job.maxAttempts}`)}
${fact('Made', time(job.createdAt))}
${job.state === 'scheduled' && fact('Starts', time(job.runAt))}
${job.state === 'retrying' && fact('Next attempt', time(job.runAt))}
${fact('Started', time(job.startedAt))}
${job.finishedAt && fact('Ended', html`${time(job.finishedAt)}${job.startedAt && html` <span class="hint">after ${duration(job.startedAt, job.finishedAt)}</span>`}`)}
${job.batch && fact('Batch', html`<a class="id" href="/dashboard/batches/${job.batch}">…${job.batch.slice(-12)}</a>`)}
${job.previous && fact('Follows', html`${job.previous.name} ${jobLink(job.previous.id)}`)}
${job.next && fact('Then', jobLink(job.next))}
${job.traceId && fact('Trace', html`<span class="id">${job.traceId}</span>`)}
</dl>
${job.progress !== null && html`<p class="progress"><progress max="1" value="${job.progress}" aria-label="Progress"></progress> <span>${Math.round(job.progress * 100)} %</span> <span class="hint">${job.progressNote}</span></p>`}
${job.error && failure('problem', job.error)}`;
}

const received = ({ properties, headers, size, body, encoding }: MessageView) =>
  html`<section aria-labelledby="message"><h2 id="message">Message as it was received</h2>
<p class="hint">Body, ${number(size)} bytes${encoding === 'hex' && ', in hexadecimal digits'}${size > Buffer.byteLength(body) && ', the beginning'}</p><pre tabindex="0">${body}</pre>
<p class="hint">Properties and headers</p><pre tabindex="0">${shownJson({ ...properties, headers })}</pre></section>`;

/** Newest first: what matters most is what happened last. */
function timeline(job: JobView): Value {
  const coming =
    job.state === 'retrying' || job.state === 'scheduled'
      ? html`<li class="${job.state}"><h3>${job.state === 'retrying' ? `Attempt ${job.attempt + 1}` : 'Starts'} ${time(job.runAt)}</h3></li>`
      : job.state === 'queued' && html`<li class="queued"><h3>Waits for a worker</h3></li>`;
  const end =
    (job.state === 'discarded' ||
      (job.state === 'cancelled' && job.attempts.at(-1)?.outcome !== 'cancelled')) &&
    html`<li class="${job.state}"><h3>${job.state === 'discarded' ? 'Discarded' : 'Cancelled'} ${time(job.finishedAt)}</h3></li>`;
  return [
    coming,
    end,
    job.attempts.toReversed().map(attempt),
    html`<li><h3>Accepted ${time(job.createdAt)}</h3></li>`,
  ];
}

const attempt = ({ attempt, outcome, worker, startedAt, finishedAt, error }: AttemptView) =>
  html`<li class="${outcome}"><h3>Attempt ${attempt} ${badge(outcome)}</h3>
<p class="hint">${startedAt && html`started ${time(startedAt)}`}${finishedAt && startedAt && html`, took ${duration(startedAt, finishedAt)}`}${worker && html`, on <span class="id">${worker}</span>`}</p>
${outcome === 'crashed' && !error && html`<p>The worker died, or lost its machine, while it had this job.</p>`}
${error && failure('error', error)}
${error?.stack && html`<details><summary>Stack</summary><pre tabindex="0">${error.stack}</pre></details>`}</li>`;
