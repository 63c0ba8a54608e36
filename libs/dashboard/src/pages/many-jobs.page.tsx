import { BadRequestException, Body, Get, Query } from '@nestjs/common';
import type { VNode } from 'preact';
import { parse } from 'secure-json-parse';
import { z } from 'zod';
import { counted, type Duration, toMilliseconds } from '#config';
import { text } from '#http';
import { Jobs } from '#jobs';
import { BulkStore, type Done, type JobFilter, jobStates, readWhere } from '#records';
import { address } from '../addresses.js';
import { ActionButton, Field } from '../components/forms.js';
import { Page } from '../components/page.js';
import { Facts } from '../components/table.js';
import { Text } from '../components/values.js';
import { useMayAct } from '../components/viewer.js';
import { Action, DashboardController } from '../dashboard.guard.js';

/** Which jobs are meant, as forms say it. Whatever else a form says is a mistake, and never means all of them. */
const Filter = z.object({
  state: z.enum(jobStates).optional(),
  name: text(100).min(1).optional(),
  queue: text(255).min(1).optional(),
  tag: text(100).min(1).optional(),
  where: text(500).min(1).optional(),
});
type Filter = z.output<typeof Filter>;

/** What else a form says; a field that is left empty is as good as none. */
const Details = z.object({
  perSecond: z.preprocess(
    (text) => text || undefined,
    z.coerce.number().int().min(1).max(100_000).optional(),
  ),
  delay: z.string().optional(),
  patch: z.string().optional(),
});

const actions = {
  cancel: {
    ...{ label: 'Cancel', kind: 'danger' as const, done: 'cancelled' },
    meaning: 'Those that wait end at once. Those that run are told, and end when their handlers do.',
  },
  reschedule: {
    ...{ label: 'Reschedule', kind: 'primary' as const, done: 'rescheduled' },
    meaning: 'Those that wait for their time start then, so many in each second.',
  },
  rerun: {
    ...{ label: 'Run again', kind: 'primary' as const, done: 'enqueued again' },
    meaning:
      'Those that have ended are enqueued as new jobs, so many in each second, but for those that were before. A patch changes each payload.',
  },
} satisfies Record<string, { label: string; kind: 'danger' | 'primary'; done: string; meaning: string }>;
type ManyAction = keyof typeof actions;

@DashboardController('/jobs/many')
export class ManyJobsPage {
  constructor(
    private readonly bulk: BulkStore,
    private readonly jobs: Jobs,
  ) {}

  /** Says how many it will be, before it is done. */
  @Get()
  async confirm(@Query() { action, ...query }: Record<string, unknown>): Promise<VNode> {
    if (typeof action !== 'string' || !Object.hasOwn(actions, action))
      throw new BadRequestException('Unknown action: use cancel, reschedule or rerun.');
    const { label, kind, meaning } = actions[action as ManyAction];
    const filter = given(query);
    const count = await this.bulk.count(action as ManyAction, meant(filter));
    const { state, name, queue, tag, where } = filter;
    return (
      <Page title={`${label}: ${counted(count, 'job')}?`} here="Jobs">
        <Facts of={{ State: state, Name: name, Queue: queue, Tag: tag, 'Payload has': where }} />
        <p>{meaning}</p>
        {count > 0 && (
          <ActionButton
            to={address(`/jobs/many/${action}`)}
            fields={filter}
            label={`${label} ${count}`}
            kind={kind}
          >
            {action === 'reschedule' && <Field label="In" name="delay" value="0ms" placeholder="10m" />}
            {action === 'rerun' && <Field label="Patch" name="patch" placeholder='{"currency":"EUR"}' />}
            {action !== 'cancel' && <Field label="A second" name="perSecond" placeholder="1000" />}
          </ActionButton>
        )}
        <Text to={address('/jobs', filter)} of="Back" kind="button" />
      </Page>
    );
  }

  @Action('cancel', 'jobs.cancel')
  cancel(@Body() body: unknown) {
    return this.act('cancel', body, (filter) => this.bulk.cancel(filter));
  }

  @Action('reschedule', 'jobs.reschedule')
  reschedule(@Body() body: unknown) {
    return this.act('reschedule', body, (filter, { delay = '0ms', perSecond }) =>
      this.bulk.reschedule(filter, { delayMs: readDelay(delay) }, { perSecond }),
    );
  }

  @Action('rerun', 'jobs.rerun')
  rerun(@Body() body: unknown) {
    return this.act('rerun', body, (filter, { patch, perSecond }) =>
      this.jobs.rerunAll(filter, { patch: readPatch(patch), perSecond }),
    );
  }

  private async act(
    action: ManyAction,
    body: unknown,
    task: (filter: JobFilter, details: z.output<typeof Details>) => Promise<Done>,
  ) {
    const filter = given(body);
    const details = Details.safeParse(body);
    if (!details.success) throw new BadRequestException('How many a second is a number from 1 to 100000.');
    const { count, leftOut = 0 } = await task(meant(filter), details.data);
    const notice = { done: actions[action].done, count: `${count}`, left: `${leftOut}` };
    return { url: address('/jobs', { ...filter, ...notice }), count, leftOut };
  }
}

function given(form: unknown): Filter {
  const filter = Filter.safeParse(form);
  if (filter.success && Object.values(filter.data).some((value) => value !== undefined)) return filter.data;
  throw new BadRequestException('It is not clear which jobs are meant.');
}

const meant = ({ where, ...filter }: Filter): JobFilter => ({
  ...filter,
  where: where === undefined ? undefined : readWhere(where),
});

function readDelay(delay: string): number {
  try {
    return toMilliseconds(delay as Duration);
  } catch (error) {
    throw new BadRequestException((error as Error).message);
  }
}

/** A JSON Merge Patch, if one is given. */
export function readPatch(patch: string | undefined): unknown {
  if (!patch?.trim()) return undefined;
  try {
    return parse(patch);
  } catch (error) {
    throw new BadRequestException(`The patch is not valid JSON: ${(error as Error).message}`);
  }
}

/** What an action on many led to, by what the address carries. */
export function doneOf({ done, count, left }: Record<string, unknown>): string | undefined {
  if (!Object.values(actions).some((action) => action.done === done)) return undefined;
  const [changed, leftOut] = [count, left].map((text) => Math.trunc(Number(text)) || 0) as [number, number];
  return `${counted(changed, 'job')} ${done}.${leftOut > 0 ? ` ${counted(leftOut, 'job')} left out: their payload does not fit.` : ''}`;
}

/** They lead to the page that says how many it will be. */
export function Choices({ filter }: { filter: Filter }) {
  if (!useMayAct() || Object.values(filter).every((value) => value === undefined)) return null;
  return (
    <>
      {Object.entries(actions).map(([action, { label }]) => (
        <Text to={address('/jobs/many', { ...filter, action })} of={`${label} …`} kind="button" />
      ))}
    </>
  );
}
