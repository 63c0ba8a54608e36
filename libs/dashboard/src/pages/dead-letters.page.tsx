import { Body, Get, Query } from '@nestjs/common';
import type { VNode } from 'preact';
import { z } from 'zod';
import { counted, grouped } from '#config';
import { Jobs } from '#jobs';
import { type DeadGroup, DeadJobStore, likeForms, SHOWN_GROUPS } from '#records';
import { address, jobPath, optionalText } from '../addresses.js';
import { Field, Filters } from '../components/forms.js';
import { act, Choices, confirm, type Many, Moment, meant, noticeOf, Selection } from '../components/many.js';
import { Page } from '../components/page.js';
import { type Column, Table } from '../components/table.js';
import { Count, Text } from '../components/values.js';
import { Action, DashboardController } from '../dashboard.guard.js';

const optionalMoment = optionalText.transform((text) => Moment.safeParse(text).data);

/** Which dead letters are looked at. One number is as good as any: what is looked for is a kind of error. */
const Look = z.object({
  queue: optionalText,
  name: optionalText,
  error: optionalText.transform((text) => text && likeForms(text)),
  tag: optionalText,
  where: optionalText,
  from: optionalMoment,
  to: optionalMoment,
});

const dead = (count: number) => counted(count, 'dead letter');

const DEAD_LETTERS: Many<'replay' | 'discard'> = {
  nouns: 'dead letters',
  here: 'Dead letters',
  filter: Selection.omit({ state: true }),
  paths: { list: '/dead-letters', confirm: '/dead-letters/confirm', act: '/dead-letters' },
  question: (label, count) => `${label} ${dead(count)}?`,
  actions: {
    replay: {
      ...{ label: 'Replay', kind: 'primary', asks: ['patch', 'perSecond'] },
      meaning:
        'They go back to work with attempts counted from zero, so many in each second. What caused the error should be put right first; a patch (JSON Merge Patch) changes each payload, and what it was before stays in the record.',
      told: (count, left) =>
        `${dead(count)} sent back to work.${left > 0 ? ` ${grouped(left)} left out: other jobs hold their unique keys, or their payload does not fit.` : ''}`,
    },
    discard: {
      ...{ label: 'Discard', kind: 'danger', asks: [] },
      meaning: 'They will not run again. Their records stay until they are pruned (JOB_RETENTION).',
      told: (count) => `${dead(count)} given up for good. The records stay.`,
    },
  },
};

@DashboardController('/dead-letters')
export class DeadLettersPage {
  constructor(
    private readonly dead: DeadJobStore,
    private readonly jobs: Jobs,
  ) {}

  @Get()
  async show(@Query() query: Record<string, unknown>): Promise<VNode> {
    const filter = Look.parse(query);
    const isFiltered = Object.values(filter).some((value) => value !== undefined);
    const { count, groups } = await this.dead.groups(meant(filter));
    const most = groups.length === SHOWN_GROUPS ? ` The ${SHOWN_GROUPS} most frequent errors.` : '';
    return (
      <Page
        title="Dead letters"
        here="Dead letters"
        notice={noticeOf(DEAD_LETTERS, query)}
        actions={
          count > 0 && <Choices of={DEAD_LETTERS} selection={filter} what={isFiltered ? 'these' : 'all'} />
        }
      >
        <p class="hint">
          {`${dead(count)}: jobs that failed for good, and messages that no job could be made of, by their last error. They are kept until somebody replays or discards them.${most}`}
        </p>
        <Filters to={address('/dead-letters')} clear={isFiltered ? address('/dead-letters') : undefined}>
          <Field
            label="Error contains"
            name="error"
            value={filter.error}
            placeholder="# is any number or UUID"
          />
          <Field label="Name" name="name" value={filter.name} />
          <Field label="Queue" name="queue" value={filter.queue} />
          <Field label="Tag" name="tag" value={filter.tag} />
          <Field label="Payload has" name="where" value={filter.where} placeholder="/customer/id:42" />
          <Field label="From (UTC)" name="from" value={filter.from} type="datetime-local" />
          <Field label="To (UTC)" name="to" value={filter.to} type="datetime-local" />
        </Filters>
        <Table
          caption="Dead letters by error"
          columns={columnsOf(filter)}
          rows={groups}
          empty={
            isFiltered ? ['Nothing fits these filters'] : ['No dead letters', 'No job has failed for good.']
          }
        />
      </Page>
    );
  }

  @Get('confirm')
  confirm(@Query() query: Record<string, unknown>) {
    return confirm(DEAD_LETTERS, query, (filter) => this.dead.count(filter));
  }

  @Action('replay', 'dead-letters.replay')
  replay(@Body() body: unknown) {
    return act(DEAD_LETTERS, 'replay', body, (filter, { patch, perSecond }) =>
      this.dead.replayAll(filter, { edit: this.jobs.editOf({ patch }), perSecond }),
    );
  }

  @Action('discard', 'dead-letters.discard')
  discard(@Body() body: unknown) {
    return act(DEAD_LETTERS, 'discard', body, async (filter) => ({ count: await this.dead.discard(filter) }));
  }
}

/** Each is a filter of its own, within what is looked at. */
const columnsOf = (filter: Selection): Column<DeadGroup>[] => [
  ...columns,
  [
    'Actions',
    ({ queue, name, errorForm }) => (
      <Choices of={DEAD_LETTERS} selection={{ ...filter, error: undefined, queue, name, errorForm }} />
    ),
    'actions',
  ],
];

const columns: Column<DeadGroup>[] = [
  [
    'Error',
    ({ errorForm, example }) => (
      <Text
        to={jobPath(example)}
        of={errorForm || 'without a message'}
        kind="error"
        title="The newest of them"
      />
    ),
    'wide',
  ],
  [
    'Jobs',
    ({ count, name, queue }) => <Count of={count} to={address('/jobs', { state: 'dead', name, queue })} />,
    'number',
  ],
  ['Name', 'name'],
  ['Queue', 'queue'],
  ['Newest', 'newest'],
  ['Oldest', 'oldest'],
];
