import { Get, Query } from '@nestjs/common';
import { Id } from '#http';
import { Audit, type AuditLine } from '#records';
import { DashboardController, Visitor } from './dashboard.guard.js';
import { type Html, html, type Value } from './html.js';
import { page } from './layout.js';
import { empty, jobPath, number, table, time } from './parts.js';

const PAGE_SIZE = 100;

/** Who did what, by whatever way. */
@DashboardController('/audit')
export class AuditPage {
  constructor(private readonly audit: Audit) {}

  @Get()
  async show(@Visitor() visitor: Visitor, @Query('before') before: unknown): Promise<Html> {
    const start = typeof before === 'string' && /^\d{1,18}$/.test(before) ? before : undefined;
    const lines = await this.audit.list(PAGE_SIZE, start);
    const last = lines.length === PAGE_SIZE ? lines.at(-1) : undefined;
    return page({
      title: 'Audit',
      visitor,
      here: 'audit',
      body: html`<h1>Audit</h1>
<p class="hint">What people did here, over HTTP and on the command line. The log has the same.</p>
${lines.length > 0 ? table('Actions, newest first', columns, lines.map(row)) : empty('Nobody did anything yet', '')}
<nav class="paging" aria-label="Paging">${start && html`<a class="button" href="/dashboard/audit">Newest</a>`}${last && html`<a class="button" href="/dashboard/audit?before=${last.id}">Older</a>`}</nav>`,
    });
  }
}

const columns = [
  'Action',
  'When',
  'Who',
  'By way of',
  { label: 'To what', kind: 'wide' },
  { label: 'Changed', kind: 'number' },
] as const;

const row = ({ at, actor, via, action, subject, count, refusal }: AuditLine): Value[] => [
  html`<span class="name">${action}</span>${refusal && html` <span class="badge refused" title="${refusal}">refused</span>`}`,
  time(at),
  html`<span class="id">${actor}</span>`,
  via,
  action.startsWith('job.') && Id.safeParse(subject).success
    ? html`<a class="id" href="${jobPath(subject)}">${subject}</a>`
    : html`<span class="id">${subject}</span>`,
  count === null ? html`<span class="none" title="It runs, or was cut off">?</span>` : number(count),
];
