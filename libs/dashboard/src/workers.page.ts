import { Get } from '@nestjs/common';
import { WorkerStore, type WorkerView } from '#records';
import { DashboardController, Visitor } from './dashboard.guard.js';
import { type Html, html, type Value } from './html.js';
import { page } from './layout.js';
import { count, empty, jobLink, jobPath, number, table, time } from './parts.js';

/** An event loop that is held up longer than this delays heartbeats and everybody else's jobs. */
const HIGH_LAG_MS = 500;
/** A worker reports every few seconds. */
const SILENT_MS = 30_000;

@DashboardController('/workers')
export class WorkersPage {
  constructor(private readonly workers: WorkerStore) {}

  @Get()
  async show(@Visitor() visitor: Visitor): Promise<Html> {
    const workers = await this.workers.list();
    return page({
      title: 'Workers',
      visitor,
      here: 'workers',
      live: '/dashboard/events',
      body: html`<h1>Workers</h1>
<div class="stack" data-live="workers">${workers.length > 0 ? [overview(workers), workers.map(jobsOf)] : empty('No worker is alive', 'Jobs are accepted and wait. Start one: node dist/apps/worker/main.js')}</div>`,
    });
  }
}

const overview = (workers: readonly WorkerView[]) =>
  table(
    'Workers',
    [
      'Worker',
      'Queues',
      { label: 'Runs', kind: 'number' },
      { label: 'Event-loop lag', kind: 'number' },
      { label: 'Memory', kind: 'number' },
      'Started',
      'Heard of',
    ],
    workers.map(({ name, queues, running, eventLoopLagMs, rssBytes, startedAt, lastSeen }): Value[] => [
      html`<span class="name">${name}</span>`,
      queues.join(', '),
      count(running),
      html`<span class="${eventLoopLagMs > HIGH_LAG_MS && 'red'}">${number(Math.round(eventLoopLagMs))} ms</span>`,
      `${number(Math.round(rssBytes / 1_048_576))} MB`,
      time(startedAt),
      html`<span class="${Date.now() - lastSeen.getTime() > SILENT_MS && 'red'}">${time(lastSeen)}</span>`,
    ]),
  );

const jobsOf = ({ name, id, jobs, running }: WorkerView) =>
  jobs.length > 0 &&
  html`<section aria-labelledby="worker-${id}"><h2 id="worker-${id}">Runs on ${name} <span class="tally">${number(running)}</span></h2>
${table(
  `Jobs that run on ${name}`,
  ['Job', 'Queue', { label: 'Attempt', kind: 'number' }, 'Since'],
  jobs.map((job) => [
    html`<a class="name" href="${jobPath(job.id)}">${job.name}</a> ${jobLink(job.id)}`,
    job.queue,
    job.attempt,
    time(job.startedAt),
  ]),
)}${running > jobs.length && html`<p class="hint">Those that run for the longest, of ${number(running)}.</p>`}</section>`;
