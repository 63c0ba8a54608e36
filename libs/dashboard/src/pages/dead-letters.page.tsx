import { BadRequestException, Body, Get, Query } from '@nestjs/common';
import type { VNode } from 'preact';
import { z } from 'zod';
import { counted, grouped } from '#config';
import { text } from '#http';
import { Jobs } from '#jobs';
import {
  type DeadGroup,
  DeadJobStore,
  type DeadLetterFilter,
  type Done,
  likeForms,
  readWhere,
  SHOWN_GROUPS,
} from '#records';
import { address, jobPath, optionalText } from '../addresses.js';
import { ActionButton, Field, Filters } from '../components/forms.js';
import { Page } from '../components/page.js';
import { type Column, Facts, Table } from '../components/table.js';
import { Count, Text } from '../components/values.js';
import { useMayAct } from '../components/viewer.js';
import { Action, DashboardController } from '../dashboard.guard.js';
import { readPatch } from './many-jobs.page.js';

/** A time as browsers write it, by UTC. */
const Moment = z.iso.datetime({ local: true });
const optionalMoment = optionalText.transform((text) => Moment.safeParse(text).data);

/** Which dead letters are meant, as forms say it. Whatever else a form says is a mistake, and never means all of them. */
const Filter = z.object({
  queue: text(255).optional(),
  name: text(100).optional(),
  error: text(200).min(1).optional(),
  // What a group has in common; empty when its jobs left no message.
  errorForm: text(600).optional(),
  tag: text(100).min(1).optional(),
  where: text(500).min(1).optional(),
  from: Moment.optional(),
  to: Moment.optional(),
});
type Filter = z.output<typeof Filter>;
/** The same for looking at them. One number is as good as any: what is looked for is a kind of error. */
const Look = z.object({
  queue: optionalText,
  name: optionalText,
  error: optionalText.transform((text) => text && likeForms(text)),
  tag: optionalText,
  where: optionalText,
  from: optionalMoment,
  to: optionalMoment,
});
const meant = ({ where, from, to, ...filter }: Filter): DeadLetterFilter => ({
  ...filter,
  where: where === undefined ? undefined : readWhere(where),
  from: from === undefined ? undefined : new Date(`${from}Z`),
  to: to === undefined ? undefined : new Date(`${to}Z`),
});
const Details = z.object({
  perSecond: z.preprocess(
    (text) => text || undefined,
    z.coerce.number().int().min(1).max(100_000).optional(),
  ),
  patch: z.string().optional(),
});

const actions = {
  replay: {
    label: 'Replay',
    kind: 'primary',
    meaning:
      'They go back to work with attempts counted from zero, so many in each second. What caused the error should be put right first; a patch (JSON Merge Patch) changes each payload, and what it was before stays in the record.',
  },
  discard: {
    label: 'Discard',
    kind: 'danger',
    meaning: 'They will not run again. Their records stay until they are pruned (JOB_RETENTION).',
  },
} as const;
type ActionName = keyof typeof actions;

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
        notice={noticeOf(query)}
        actions={count > 0 && <Choices filter={filter} what={isFiltered ? 'these' : 'all'} />}
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

  /** Says how many it will be, before it is done. */
  @Get('confirm')
  async confirm(@Query() { action, ...query }: Record<string, unknown>): Promise<VNode> {
    if (action !== 'replay' && action !== 'discard')
      throw new BadRequestException('Unknown action: use replay or discard.');
    const filter = filterOf(query);
    const count = await this.dead.count(meant(filter));
    const { label, kind, meaning } = actions[action];
    const { errorForm: _, ...back } = filter;
    const to = address(`/dead-letters/${action}`);
    return (
      <Page title={`${label} ${dead(count)}?`} here="Dead letters">
        <Meant {...filter} />
        <p>{meaning}</p>
        <div class="actions">
          {count > 0 && (
            <ActionButton to={to} label={`${label} ${grouped(count)}`} kind={kind} fields={filter}>
              {action === 'replay' && <Field label="Patch" name="patch" placeholder='{"currency":"EUR"}' />}
              {action === 'replay' && <Field label="A second" name="perSecond" placeholder="1000" />}
            </ActionButton>
          )}
          <Text to={address('/dead-letters', back)} of="Back" kind="button" />
        </div>
      </Page>
    );
  }

  @Action('replay', 'dead-letters.replay')
  async replay(@Body() body: unknown) {
    const details = Details.safeParse(body);
    if (!details.success) throw new BadRequestException('How many a second is a number from 1 to 100000.');
    const { patch, perSecond } = details.data;
    const edit = this.jobs.editOf({ patch: readPatch(patch) });
    return done('replay', await this.dead.replayAll(meant(filterOf(body)), { edit, perSecond }));
  }

  @Action('discard', 'dead-letters.discard')
  async discard(@Body() body: unknown) {
    return done('discard', { count: await this.dead.discard(meant(filterOf(body))) });
  }
}

const dead = (count: number) => counted(count, 'dead letter');

const done = (action: ActionName, { count, leftOut = 0 }: Done) => ({
  url: `/dashboard/dead-letters?done=${action}&count=${count}&left=${leftOut}`,
  ...{ count, leftOut },
});

/** What an action led to, by what the address carries. */
function noticeOf(query: Record<string, unknown>): string | undefined {
  const count = Math.trunc(Number(query.count)) || 0;
  const left = Math.trunc(Number(query.left)) || 0;
  if (query.done === 'discard') return `${dead(count)} given up for good. The records stay.`;
  if (query.done !== 'replay') return undefined;
  const leftOut =
    left > 0
      ? ` ${grouped(left)} left out: other jobs hold their unique keys, or their payload does not fit.`
      : '';
  return `${dead(count)} sent back to work.${leftOut}`;
}

function filterOf(form: unknown): Filter {
  const filter = Filter.safeParse(form);
  if (filter.success) return filter.data;
  throw new BadRequestException('It is not clear which dead letters are meant.');
}

/** Both lead to the page that says how many it will be. */
function Choices({ filter, what = '' }: { filter: Filter; what?: string }) {
  if (!useMayAct()) return null;
  const choice = (action: ActionName, kind: string) => (
    <Text
      to={address('/dead-letters/confirm', { action, ...filter })}
      of={`${actions[action].label} ${what}`}
      kind={`button ${kind}`}
    />
  );
  return (
    <div class="actions">
      {choice('replay', '')} {choice('discard', 'danger')}
    </div>
  );
}

const Meant = ({ queue, name, error, errorForm, tag, where, from, to }: Filter) => (
  <Facts
    of={{
      Name: name,
      Queue: queue,
      'Error contains': error && <Text of={error} kind="error" />,
      Error: errorForm !== undefined && <Text of={errorForm || 'without a message'} kind="error" />,
      Tag: tag,
      'Payload has': where,
      'From (UTC)': from,
      'To (UTC)': to,
      Which: !(queue || name || error || tag || where || from || to) && errorForm === undefined && 'all',
    }}
  />
);

/** Each is a filter of its own, within what is looked at. */
const columnsOf = (filter: Filter): Column<DeadGroup>[] => [
  ...columns,
  [
    'Actions',
    ({ queue, name, errorForm }) => (
      <Choices filter={{ ...filter, error: undefined, queue, name, errorForm }} />
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
