import { BadRequestException, Body, Get, Post, Query, Redirect } from '@nestjs/common';
import { z } from 'zod';
import { counted } from '#config';
import { ForeignLetters, type ForeignLetterView, type Wish } from '#records';
import { Deed } from '../deed.js';
import { text } from '../requests.js';
import { DashboardController, Visitor } from './dashboard.guard.js';
import { type Html, html, type Value } from './html.js';
import { deed, page } from './layout.js';
import { address, badge, empty, number, optionalText, table, time } from './parts.js';
import { shownBytes, shownJson } from './shown.js';

const PAGE_SIZE = 50;

const Place = z.object({ queue: optionalText, afterQueue: optionalText, afterId: optionalText });
const Which = z.object({ queue: text(255).min(1), id: text(100).min(1).optional() });

/** Messages among the dead letters that no record stands for: unreadable ones, and what others put there. */
@DashboardController('/foreign-letters')
export class ForeignLettersPage {
  constructor(private readonly foreign: ForeignLetters) {}

  @Get()
  async show(@Visitor() visitor: Visitor, @Query() query: unknown): Promise<Html> {
    const { queue, afterQueue, afterId } = Place.parse(query);
    const after = afterQueue && afterId ? { queue: afterQueue, id: afterId } : undefined;
    const [letters, count] = await Promise.all([
      this.foreign.list({ queue }, { limit: PAGE_SIZE, after }),
      this.foreign.count({ queue }),
    ]);
    const last = letters.length === PAGE_SIZE ? letters.at(-1) : undefined;
    return page({
      title: 'Foreign messages',
      visitor,
      here: 'dead-letters',
      body: html`<h1>Foreign messages</h1><p><a href="/dashboard/dead-letters">Back to the dead letters</a></p>${foreignLettersOf(visitor, letters, count, queue)}
${count === 0 && empty('No foreign messages', 'What is in the dead-letter queues belongs to jobs.')}
${last && html`<nav class="paging" aria-label="Paging"><a class="button" href="${address('/dashboard/foreign-letters', { queue, afterQueue: last.queue, afterId: last.id })}">More</a></nav>`}`,
    });
  }

  @Post('replay')
  @Deed('foreign-letters.replay')
  @Redirect('', 303)
  replay(@Body() body: unknown) {
    return this.wish('replay', body);
  }

  @Post('discard')
  @Deed('foreign-letters.discard')
  @Redirect('', 303)
  discard(@Body() body: unknown) {
    return this.wish('discard', body);
  }

  private async wish(wish: Wish, body: unknown) {
    const which = Which.safeParse(body);
    if (!which.success) throw new BadRequestException('The form does not say which message.');
    const { queue, id } = which.data;
    const count = await this.foreign.wish(wish, { queue, ids: id === undefined ? undefined : [id] });
    return { url: `/dashboard/dead-letters?done=wish&count=${count}`, count };
  }
}

/** The section that shows some of them, here and below the dead letters. */
export function foreignLettersOf(
  visitor: Visitor,
  letters: readonly ForeignLetterView[],
  count: number,
  queue: string | undefined,
): Html | false {
  if (count === 0) return false;
  return html`<section aria-labelledby="foreign"><div class="head"><h2 id="foreign">Messages without a job <span class="tally">${number(count)}</span></h2></div>
<p class="hint">Messages in the dead-letter queues that no job stands for: they could not be understood, or something else put them there. A replay sends them to their queue as they are.</p>
${table(
  'Foreign messages',
  ['Message', 'Queue', { label: 'Copies', kind: 'number' }, 'Found', { label: 'Actions', kind: 'actions' }],
  letters.map((letter) => row(visitor, letter)),
)}
${count > letters.length && html`<p><a href="${address('/dashboard/foreign-letters', { queue })}">All foreign messages</a></p>`}</section>`;
}

const row = (
  visitor: Visitor,
  { queue, id, reason, copies, size, body, headers, properties, foundAt, wish }: ForeignLetterView,
): Value[] => [
  html`<details><summary><span class="error">${reason}</span></summary>
<p class="hint">Body, ${counted(size, 'byte')}${body.length < size && `, the first ${number(body.length)} of them`}</p><pre tabindex="0">${shownBytes(body)}</pre>
<p class="hint">Properties and headers</p><pre tabindex="0">${shownJson({ ...properties, headers })}</pre></details>`,
  queue,
  number(copies),
  time(foundAt),
  wish
    ? badge(wish === 'replay' ? 'to be replayed' : 'to be discarded')
    : html`<div class="deeds">${(['replay', 'discard'] as const).map((what) =>
        deed(visitor, `/dashboard/foreign-letters/${what}`, what === 'replay' ? 'Replay' : 'Discard', {
          fields: { queue, id },
          kind: what === 'discard' ? 'danger' : '',
        }),
      )}</div>`,
];
