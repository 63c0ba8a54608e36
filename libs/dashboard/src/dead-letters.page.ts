import { BadRequestException, Body, Get, Post, Query, Redirect } from '@nestjs/common';
import { z } from 'zod';
import { counted } from '#config';
import { Audited, text } from '#http';
import { type DeadGroup, DeadJobStore, type Done, likeForms, SHOWN_GROUPS } from '#records';
import { DashboardController, Visitor } from './dashboard.guard.js';
import { type Html, html, type Value } from './html.js';
import { page, token } from './layout.js';
import { address, empty, jobPath, number, optionalText, table, time } from './parts.js';

/** Which dead letters are meant, as forms say it. Whatever else a form says is a mistake, and never means all of them. */
const Filter = z.object({
  queue: text(255).optional(),
  name: text(100).optional(),
  error: text(200).min(1).optional(),
  // What a group has in common; empty when its jobs left no message.
  errorForm: text(600).optional(),
});
type Filter = z.output<typeof Filter>;
/** The same for looking at them. One number is as good as any: what is looked for is a kind of error. */
const Look = z.object({
  queue: optionalText,
  name: optionalText,
  error: optionalText.transform((text) => text && likeForms(text)),
});

const actions = { replay: 'Replay', discard: 'Discard' } as const;
type ActionName = keyof typeof actions;

const notices: Record<string, (count: number, leftOut: number) => string> = {
  replay: (count, leftOut) =>
    `${dead(count)} sent back to work, at most a thousand in a second.${leftOut > 0 ? ` ${number(leftOut)} left out: other jobs hold their unique keys.` : ''}`,
  discard: (count) => `${dead(count)} given up for good. The records stay.`,
};

@DashboardController('/dead-letters')
export class DeadLettersPage {
  constructor(private readonly dead: DeadJobStore) {}

  @Get()
  async show(@Visitor() visitor: Visitor, @Query() query: Record<string, unknown>): Promise<Html> {
    const filter = Look.parse(query);
    const isFiltered = Object.values(filter).some((value) => value !== undefined);
    const { count: total, groups } = await this.dead.groups(filter);
    return page({
      title: 'Dead letters',
      visitor,
      here: 'dead-letters',
      notice: noticeOf(query),
      body: html`<div class="head"><h1>Dead letters${total > 0 && html` <span class="tally">${number(total)}</span>`}</h1>${total > 0 && html`<div class="actions">${choices(visitor, filter, isFiltered ? 'these' : 'all')}</div>`}</div>
<p class="hint">Jobs that failed for good, and messages that no job could be made of, by their last error. They are kept until somebody replays or discards them.</p>
${filterForm(filter, isFiltered)}
${groups.length === SHOWN_GROUPS && html`<p class="hint">The ${SHOWN_GROUPS} most frequent errors.</p>`}
${groups.length > 0 ? groupTable(visitor, groups) : empty(isFiltered ? 'Nothing fits these filters' : 'No dead letters', isFiltered ? '' : 'No job has failed for good.')}`,
    });
  }

  /** Says how many it will be, before it is done. */
  @Get('confirm')
  async confirm(@Visitor() visitor: Visitor, @Query() query: Record<string, unknown>): Promise<Html> {
    const filter = filterOf(query);
    const action = actionOf(query.action);
    const count = await this.dead.count(filter);
    const back = address('/dashboard/dead-letters', {
      queue: filter.queue,
      name: filter.name,
      error: filter.error,
    });
    return page({
      title: `${actions[action]} dead letters`,
      visitor,
      here: 'dead-letters',
      body: html`<div class="confirm card"><h1>${actions[action]} ${dead(count)}?</h1>
${about(filter)}
<p>${action === 'replay' ? 'They go back to work with attempts counted from zero, at most a thousand in a second. What caused the error should be put right first.' : 'They will not run again. Their records stay until they are pruned (JOB_RETENTION).'}</p>
<div class="actions">${
        visitor.role === 'operator' &&
        count > 0 &&
        html`<form method="post" action="/dashboard/dead-letters/${action}">${token(visitor)}${Object.entries(
          filter,
        ).map(
          ([name, value]) =>
            value !== undefined && html`<input type="hidden" name="${name}" value="${value}">`,
        )}<button class="${action === 'replay' ? 'primary' : 'danger'}">${actions[action]} ${number(count)}</button></form>`
      }<a class="button" href="${back}">Back</a></div></div>`,
    });
  }

  @Post('replay')
  @Audited('dead-letters.replay')
  @Redirect('', 303)
  async replay(@Body() body: unknown) {
    return done('replay', await this.dead.replayAll(filterOf(body)));
  }

  @Post('discard')
  @Audited('dead-letters.discard')
  @Redirect('', 303)
  async discard(@Body() body: unknown) {
    return done('discard', { count: await this.dead.discard(filterOf(body)) });
  }
}

const dead = (count: number) => counted(count, 'dead letter');

const done = (action: ActionName, { count, leftOut = 0 }: Done) => ({
  url: `/dashboard/dead-letters?done=${action}&count=${count}${leftOut > 0 ? `&left=${leftOut}` : ''}`,
  ...{ count, leftOut },
});

function noticeOf({ done, count, left }: Record<string, unknown>): string | undefined {
  if (typeof done !== 'string' || !Object.hasOwn(notices, done)) return undefined;
  return notices[done]?.(Math.trunc(Number(count)) || 0, Math.trunc(Number(left)) || 0);
}

function filterOf(form: unknown): Filter {
  const filter = Filter.safeParse(form);
  if (filter.success) return filter.data;
  throw new BadRequestException('It is not clear which dead letters are meant.');
}

function actionOf(value: unknown): ActionName {
  if (value === 'replay' || value === 'discard') return value;
  throw new BadRequestException('Unknown action: use replay or discard.');
}

/** Both lead to the page that says how many it will be. */
function choices(visitor: Visitor, filter: Filter, what: string): Value {
  if (visitor.role !== 'operator') return null;
  return (['replay', 'discard'] as const).map(
    (action) =>
      html`<a class="button ${action === 'discard' && 'danger'}" href="${address('/dashboard/dead-letters/confirm', { action, ...filter })}">${actions[action]} ${what}</a>`,
  );
}

const about = ({ queue, name, error, errorForm }: Filter) => html`<dl class="facts">
${name && html`<div><dt>Name</dt><dd>${name}</dd></div>`}
${queue && html`<div><dt>Queue</dt><dd>${queue}</dd></div>`}
${error && html`<div><dt>Error contains</dt><dd class="error">${error}</dd></div>`}
${errorForm !== undefined && html`<div><dt>Error</dt><dd class="error">${errorForm || 'without a message'}</dd></div>`}
${!queue && !name && !error && errorForm === undefined && html`<div><dt>Which</dt><dd>all</dd></div>`}</dl>`;

const filterForm = (filter: Filter, isFiltered: boolean) =>
  html`<form class="filters" method="get" action="/dashboard/dead-letters">
<label>Error contains<input name="error" value="${filter.error}" placeholder="# is any number or UUID" autocomplete="off" spellcheck="false"></label>
<label>Name<input name="name" value="${filter.name}" autocomplete="off" spellcheck="false"></label>
<label>Queue<input name="queue" value="${filter.queue}" autocomplete="off" spellcheck="false"></label>
<button>Filter</button>${isFiltered && html`<a href="/dashboard/dead-letters">Clear</a>`}</form>`;

const groupTable = (visitor: Visitor, groups: readonly DeadGroup[]) =>
  table(
    'Dead letters by error',
    [
      { label: 'Error', kind: 'wide' },
      { label: 'Jobs', kind: 'number' },
      'Name',
      'Queue',
      'Newest',
      'Oldest',
      { label: 'Actions', kind: 'actions' },
    ],
    groups.map(({ errorForm, count, name, queue, newest, oldest, example }) => [
      html`<a class="error" href="${jobPath(example)}" title="The newest of them">${errorForm || 'without a message'}</a>`,
      html`<a href="${address('/dashboard/jobs', { state: 'dead', name, queue })}">${number(count)}</a>`,
      name,
      queue,
      time(newest),
      time(oldest),
      html`<div class="actions">${choices(visitor, { queue, name, errorForm }, '')}</div>`,
    ]),
  );
