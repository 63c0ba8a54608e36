import { Get, NotFoundException, Param, Post, Query, Redirect } from '@nestjs/common';
import { counted } from '#config';
import { Audited } from '#http';
import { type OutcomeCounts, QueueStore, Throughput } from '#records';
import { Board, type QueueRow } from './board.js';
import { chart } from './chart.js';
import { DashboardController, Visitor } from './dashboard.guard.js';
import { attribute, type Html, html, type Value } from './html.js';
import { actionForm, page } from './layout.js';
import { badge, count, number, table, time } from './parts.js';

/** What the chart may look back over: bars, and seconds of each. */
const ranges = {
  '1h': { steps: 60, stepS: 60, label: 'last hour', per: 'each minute' },
  '24h': { steps: 96, stepS: 900, label: 'last 24 hours', per: 'each quarter of an hour' },
  '7d': { steps: 84, stepS: 7_200, label: 'last 7 days', per: 'every two hours' },
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
  async show(@Visitor() visitor: Visitor, @Query('range') asked: string): Promise<Html> {
    const range: Range = Object.hasOwn(ranges, asked) ? (asked as Range) : '1h';
    const { steps, stepS, label, per } = ranges[range];
    const [{ queues, at, areOld }, tallies] = await Promise.all([
      this.board.figures(),
      this.throughput.since(steps, stepS),
    ]);
    const sum = (outcome: keyof OutcomeCounts) => tallies.reduce((sum, tally) => sum + tally[outcome], 0);
    const told = `${counted(sum('succeeded'), 'attempt')} succeeded, ${number(sum('retrying'))} failed and were tried again, ${number(sum('dead'))} failed for good`;
    return page({
      title: 'Overview',
      visitor,
      here: 'overview',
      live: '/dashboard/events',
      body: html`<h1>Overview</h1>
<div data-live="symptoms">${symptoms(queues)}</div>
<section aria-labelledby="throughput"><div class="head"><h2 id="throughput">Attempts <span class="hint">${per}, ${label}</span></h2>
<nav class="ranges" aria-label="Time"><ul>${Object.keys(ranges).map((name) => html`<li><a href="/dashboard?range=${name}" ${attribute('aria-current', name === range, 'true')}>${name}</a></li>`)}</ul></nav></div>
<div class="card" data-live="throughput"><dl class="sums">
${figure('Succeeded', sum('succeeded'), 'green')}${figure('Failed, tried again', sum('retrying'), 'amber')}${figure('Failed for good', sum('dead'), 'red')}${figure('Running now', total(queues, 'running'))}${figure('Waiting now', total(queues, 'queued'))}
</dl>${chart(`${told}, ${label}`, tallies)}</div></section>
<section aria-labelledby="queues"><h2 id="queues">Queues</h2><div data-live="queues">${areOld && html`<p class="hint">As they were ${time(at)}; they are being counted again.</p>`}${queueTable(queues, visitor)}</div></section>`,
    });
  }

  @Post('queues/:queue/pause')
  @Audited('queue.pause')
  @Redirect('/dashboard', 303)
  async pause(@Param('queue') queue: string): Promise<void> {
    await this.mustExist(queue);
    await this.queues.pause(queue);
  }

  @Post('queues/:queue/resume')
  @Audited('queue.resume')
  @Redirect('/dashboard', 303)
  async resume(@Param('queue') queue: string): Promise<void> {
    await this.mustExist(queue);
    await this.queues.resume(queue);
  }

  private async mustExist(queue: string): Promise<void> {
    const { queues } = await this.board.figures();
    if (!queues.some((row) => row.queue === queue)) throw new NotFoundException();
  }
}

const total = (queues: readonly QueueRow[], state: 'running' | 'queued') =>
  queues.reduce((sum, queue) => sum + queue[state], 0);

const figure = (label: string, value: number, kind = '') =>
  html`<div><dt>${label}</dt><dd class="${value > 0 && kind}">${number(value)}</dd></div>`;

/** What is wrong, in words, with where to look; docs/operations.md says what to do. */
function symptoms(queues: readonly QueueRow[]): Value {
  if (queues.length > 0 && queues.every(({ consumers }) => consumers === null)) {
    return html`<p class="problem">The broker does not answer. Jobs are accepted and recorded, and wait until it does.</p>`;
  }
  return queues.map(({ queue, queued, consumers, paused, oldestWaiting }) => {
    const waits = html`<strong>${queue}</strong>: ${counted(queued, 'job waits', 'jobs wait')}`;
    if (queued === 0) return null;
    if (paused) return html`<p class="warning">${waits}, because the queue is paused.</p>`;
    if (consumers === 0) return html`<p class="problem">${waits}, and no worker takes them.</p>`;
    const waitedMs = oldestWaiting ? Date.now() - oldestWaiting.getTime() : 0;
    return (
      waitedMs > LONG_WAIT_MS &&
      html`<p class="warning">${waits}, the oldest since ${time(oldestWaiting)}.</p>`
    );
  });
}

function queueTable(queues: readonly QueueRow[], visitor: Visitor): Html {
  const numeric = (label: string) => ({ label, kind: 'number' as const });
  const columns = [
    'Queue',
    ...['Ready', 'Running', 'Retrying', 'Scheduled', 'Dead'].map(numeric),
    'Oldest wait',
    ...['Consumers', 'Done, 1 h', 'Failed, 1 h'].map(numeric),
    { label: 'Actions', kind: 'actions' as const },
  ];
  return table(
    'Queues',
    columns,
    queues.map((row) => {
      const { queue, paused, consumers, lastHour } = row;
      const link = (state: string, value: number, kind = '') =>
        value > 0
          ? html`<a class="${kind}" href="/dashboard/jobs?state=${state}&queue=${encodeURIComponent(queue)}">${number(value)}</a>`
          : count(0);
      const path = `/dashboard/queues/${encodeURIComponent(queue)}`;
      return [
        html`<a class="name" href="/dashboard/jobs?queue=${encodeURIComponent(queue)}">${queue}</a> ${paused && badge('paused')}`,
        link('queued', row.queued),
        link('running', row.running),
        link('retrying', row.retrying, 'amber'),
        link('scheduled', row.scheduled),
        link('dead', row.dead, 'red'),
        row.oldestWaiting ? time(row.oldestWaiting) : html`<span class="none">–</span>`,
        consumers === null
          ? html`<span class="none" title="The broker does not answer">?</span>`
          : count(consumers),
        count(lastHour?.succeeded ?? 0),
        count((lastHour?.retrying ?? 0) + (lastHour?.dead ?? 0), 'amber'),
        paused
          ? actionForm(visitor, `${path}/resume`, 'Resume', { about: queue, kind: 'primary' })
          : actionForm(visitor, `${path}/pause`, 'Pause', { about: queue }),
      ];
    }),
  );
}
