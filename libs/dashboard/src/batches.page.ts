import { Get, NotFoundException, Param, Post, Query, Redirect } from '@nestjs/common';
import { BatchStore, type BatchView } from '#batches';
import { Audited, Id } from '#http';
import { hasEnded, jobStates } from '#records';
import { DashboardController, Visitor } from './dashboard.guard.js';
import { type Html, html, type Value } from './html.js';
import { actionForm, page } from './layout.js';
import { badge, duration, empty, jobLink, number, table, time } from './parts.js';

const PAGE_SIZE = 20;
const HERE = '/dashboard/batches';

@DashboardController('/batches')
export class BatchesPage {
  constructor(private readonly batches: BatchStore) {}

  @Get()
  async list(@Visitor() visitor: Visitor, @Query('before') before: unknown): Promise<Html> {
    const start = Id.safeParse(before).data;
    const batches = await this.batches.list(PAGE_SIZE, start);
    const last = batches.length === PAGE_SIZE ? batches.at(-1) : undefined;
    return page({
      title: 'Batches',
      visitor,
      here: 'batches',
      live: '/dashboard/events',
      body: html`<h1>Batches</h1>
<div data-live="batches">${batches.length > 0 ? table('Batches, newest first', columns, batches.map(row)) : empty('No batches', 'POST /batches makes one: many jobs that are counted together.')}</div>
<nav class="paging" aria-label="Paging">${start && html`<a class="button" href="${HERE}">Newest</a>`}${last && html`<a class="button" href="${HERE}?before=${last.id}">Older</a>`}</nav>`,
    });
  }

  @Get(':id')
  async show(@Visitor() visitor: Visitor, @Param('id') id: string): Promise<Html> {
    const batch = await this.find(id);
    const fact = (label: string, value: Value) => html`<div><dt>${label}</dt><dd>${value}</dd></div>`;
    return page({
      title: `Batch ${id.slice(-12)}`,
      visitor,
      here: 'batches',
      live: '/dashboard/events',
      body: html`<div class="head"><div><h1>Batch of ${batch.name}</h1><p class="id">${batch.id}</p></div>
<div class="actions" data-live="actions">${!batch.completedAt && actionForm(visitor, `${HERE}/${id}/cancel`, 'Cancel what has not ended', { kind: 'danger' })}</div></div>
<section data-live="facts" aria-label="State"><p class="progress">${progress(batch)}</p><dl class="facts">
${fact('Jobs', number(batch.total))}
${fact('Made', time(batch.createdAt))}
${batch.completedAt && fact('Complete', html`${time(batch.completedAt)} <span class="hint">after ${duration(batch.createdAt, batch.completedAt)}</span>`)}
${batch.cancelledAt && fact('Cancelled', time(batch.cancelledAt))}
${batch.onComplete && fact('When all have ended', jobLink(batch.onComplete))}
${batch.onSuccess && fact('When all have succeeded', jobLink(batch.onSuccess))}</dl>
${table(
  'Jobs by state',
  ['State', { label: 'Jobs', kind: 'number' }],
  jobStates
    .filter((state) => batch.counts[state] > 0)
    .map((state) => [
      badge(state),
      html`<a href="/dashboard/jobs?state=${state}&batch=${id}">${number(batch.counts[state])}</a>`,
    ]),
)}
<p><a href="/dashboard/jobs?batch=${id}">All jobs of this batch</a></p></section>`,
    });
  }

  @Post(':id/cancel')
  @Audited('batch.cancel')
  @Redirect('', 303)
  async cancel(@Param('id') id: string) {
    await this.find(id);
    const isOpen = await this.batches.cancel(id);
    return { url: `${HERE}/${id}`, count: isOpen ? 1 : 0 };
  }

  private async find(id: string): Promise<BatchView> {
    const batch = Id.safeParse(id).success ? await this.batches.find(id) : undefined;
    if (!batch) throw new NotFoundException();
    return batch;
  }
}

const columns = [
  'Batch',
  { label: 'Jobs', kind: 'number' },
  'Ended',
  { label: 'Dead', kind: 'number' },
  'Made',
  'Complete',
] as const;

const row = (batch: BatchView): Value[] => [
  html`<a class="name" href="${HERE}/${batch.id}">${batch.name}</a> <span class="id">…${batch.id.slice(-12)}</span>`,
  number(batch.total),
  progress(batch),
  batch.counts.dead > 0
    ? html`<span class="red">${number(batch.counts.dead)}</span>`
    : html`<span class="none">0</span>`,
  time(batch.createdAt),
  batch.completedAt ? time(batch.completedAt) : html`<span class="none">not yet</span>`,
];

function progress({ counts, total }: BatchView): Html {
  const ended = jobStates.filter(hasEnded).reduce((sum, state) => sum + counts[state], 0);
  return html`<progress max="${total}" value="${ended}" aria-label="Jobs that have ended"></progress> <span>${number(ended)} of ${number(total)}</span>`;
}
