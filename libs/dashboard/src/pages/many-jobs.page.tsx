import { Body, Get, Query } from '@nestjs/common';
import { counted } from '#config';
import { Jobs } from '#jobs';
import { BulkStore } from '#records';
import { act, confirm, type Many, Selection } from '../components/many.js';
import { Action, DashboardController } from '../dashboard.guard.js';

const told = (done: string) => (count: number, leftOut: number) =>
  `${counted(count, 'job')} ${done}.${leftOut > 0 ? ` ${counted(leftOut, 'job')} left out: their payload does not fit.` : ''}`;

export const MANY_JOBS: Many<'cancel' | 'reschedule' | 'rerun'> = {
  nouns: 'jobs',
  here: 'Jobs',
  filter: Selection.pick({ state: true, name: true, queue: true, tag: true, where: true }).refine(
    (selection) => Object.values(selection).some((value) => value !== undefined),
  ),
  paths: { list: '/jobs', confirm: '/jobs/many', act: '/jobs/many' },
  question: (label, count) => `${label}: ${counted(count, 'job')}?`,
  actions: {
    cancel: {
      ...{ label: 'Cancel', kind: 'danger', asks: [], told: told('cancelled') },
      meaning: 'Those that wait end at once. Those that run are told, and end when their handlers do.',
    },
    reschedule: {
      ...{ label: 'Reschedule', kind: 'primary', asks: ['delay', 'perSecond'], told: told('rescheduled') },
      meaning: 'Those that wait for their time start then, so many in each second.',
    },
    rerun: {
      ...{ label: 'Run again', kind: 'primary', asks: ['patch', 'perSecond'], told: told('enqueued again') },
      meaning:
        'Those that have ended are enqueued as new jobs, so many in each second, but for those that were before. A patch changes each payload.',
    },
  },
};

@DashboardController('/jobs/many')
export class ManyJobsPage {
  constructor(
    private readonly bulk: BulkStore,
    private readonly jobs: Jobs,
  ) {}

  @Get()
  confirm(@Query() query: Record<string, unknown>) {
    return confirm(MANY_JOBS, query, (filter, action) => this.bulk.count(action, filter));
  }

  @Action('cancel', 'jobs.cancel')
  cancel(@Body() body: unknown) {
    return act(MANY_JOBS, 'cancel', body, (filter) => this.bulk.cancel(filter));
  }

  @Action('reschedule', 'jobs.reschedule')
  reschedule(@Body() body: unknown) {
    return act(MANY_JOBS, 'reschedule', body, (filter, { delay = 0, perSecond }) =>
      this.bulk.reschedule(filter, { delayMs: delay }, { perSecond }),
    );
  }

  @Action('rerun', 'jobs.rerun')
  rerun(@Body() body: unknown) {
    return act(MANY_JOBS, 'rerun', body, (filter, { patch, perSecond }) =>
      this.jobs.rerunAll(filter, { patch, perSecond }),
    );
  }
}
