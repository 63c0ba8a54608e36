import { Get, NotFoundException, Param, Post, Query, Redirect } from '@nestjs/common';
import { Audited } from '#http';
import { Schedules, type ScheduleView } from '#schedules';
import { DashboardController, Visitor } from './dashboard.guard.js';
import { type Html, html, type Value } from './html.js';
import { actionForm, page } from './layout.js';
import { badge, empty, jobLink, jobPath, table, time } from './parts.js';
import { shownJson } from './shown.js';

const HERE = '/dashboard/schedules';

@DashboardController('/schedules')
export class SchedulesPage {
  constructor(private readonly schedules: Schedules) {}

  @Get()
  async show(@Visitor() visitor: Visitor, @Query('done') done: string): Promise<Html> {
    const schedules = await this.schedules.list();
    return page({
      title: 'Schedules',
      visitor,
      here: 'schedules',
      notice: done === 'late' ? 'Nothing was changed: the schedule is disabled.' : undefined,
      body: html`<h1>Schedules</h1>
${
  schedules.length > 0
    ? table(
        'Schedules',
        columns,
        schedules.map((schedule) => row(visitor, schedule)),
      )
    : empty('No schedules', 'The workers declare them when they start: see docs/schedules.md.')
}`,
    });
  }

  @Post(':name/run')
  @Audited('schedule.run')
  @Redirect('', 303)
  async run(@Param('name') name: string) {
    await this.mustExist(name);
    const job = await this.schedules.run(name);
    return job ? { url: jobPath(job.id), count: 1 } : { url: `${HERE}?done=late`, count: 0 };
  }

  @Post(':name/pause')
  @Audited('schedule.pause')
  @Redirect(HERE, 303)
  async pause(@Param('name') name: string): Promise<void> {
    await this.mustExist(name);
    await this.schedules.pause(name);
  }

  @Post(':name/resume')
  @Audited('schedule.resume')
  @Redirect(HERE, 303)
  async resume(@Param('name') name: string): Promise<void> {
    await this.mustExist(name);
    await this.schedules.resume(name);
  }

  private async mustExist(name: string): Promise<void> {
    if (!(await this.schedules.find(name))) throw new NotFoundException();
  }
}

const columns = [
  'Schedule',
  'State',
  'When',
  'Last tick',
  'Newest job',
  'Next',
  { label: 'Actions', kind: 'actions' },
] as const;

function row(visitor: Visitor, schedule: ScheduleView): Value[] {
  const { name, state, cron, timeZone, job, payload, lastTick, lastJob, next } = schedule;
  const path = `${HERE}/${encodeURIComponent(name)}`;
  const about = { about: name };
  return [
    html`<span class="name">${name}</span><details><summary>${job}</summary><pre tabindex="0">${shownJson(payload)}</pre></details>`,
    badge(state),
    html`<span class="id">${cron}</span> <span class="hint">${timeZone}</span>`,
    lastTick
      ? html`${time(lastTick.at)} <span class="hint">${lastTick.outcome}</span>`
      : html`<span class="none">none yet</span>`,
    lastJob ? jobLink(lastJob) : html`<span class="none">–</span>`,
    next.length > 0
      ? html`<details><summary>${time(next[0])}</summary><ol class="ticks">${next.slice(1).map((tick) => html`<li>${time(tick)}</li>`)}</ol></details>`
      : html`<span class="none">–</span>`,
    state === 'disabled'
      ? ''
      : html`<div class="actions">${actionForm(visitor, `${path}/run`, 'Run now', about)}${
          state === 'paused'
            ? actionForm(visitor, `${path}/resume`, 'Resume', { ...about, kind: 'primary' })
            : actionForm(visitor, `${path}/pause`, 'Pause', about)
        }</div>`,
  ];
}
