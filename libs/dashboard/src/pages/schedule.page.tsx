import { Body, Get, HttpCode, Post, Query } from '@nestjs/common';
import type { VNode } from 'preact';
import { parse } from 'secure-json-parse';
import { ContractError, type Duration } from '#define-job';
import { Contracts, Jobs, UnknownContractError, type Violation } from '#jobs';
import {
  type Missed,
  missedPolicies,
  nextTicks,
  type Overlap,
  overlapPolicies,
  type Schedule,
  ScheduleOfCodeError,
  Schedules,
} from '#schedules';
import { Checked, mustBeRight, problemsIn } from '../components/checked.js';
import { ActionButton, Editor, Field } from '../components/forms.js';
import { Page } from '../components/page.js';
import { Text, Time } from '../components/values.js';
import { Action, DashboardController } from '../dashboard.guard.js';

const HERE = '/dashboard/schedules';
const FIELDS = ['name', 'cron', 'timeZone', 'job', 'payload', 'missed', 'overlap', 'jitter', 'tags'] as const;
type Given = Partial<Record<(typeof FIELDS)[number], string>>;
/** Errors about what somebody wrote. */
const KNOWN = [ContractError, UnknownContractError, ScheduleOfCodeError];

/** Makes a schedule at run time, or changes one that was made so: what is wrong with it, and then the schedule. */
@DashboardController('/schedules')
export class SchedulePage {
  constructor(
    private readonly schedules: Schedules,
    private readonly jobs: Jobs,
    private readonly contracts: Contracts,
  ) {}

  @Get('edit')
  async show(@Query() { name = '' }: Given): Promise<VNode> {
    const known = name ? await this.schedules.find(name) : undefined;
    const { tags = [], payload = {}, ...fields } = known ?? { timeZone: 'UTC' };
    return this.page({ ...fields, name, payload: JSON.stringify(payload, null, 2), tags: tags.join(', ') });
  }

  /** Changes nothing. */
  @Post('edit')
  @HttpCode(200)
  async check(@Body() given: Given): Promise<VNode> {
    let made: Schedule | undefined;
    const check = async () => {
      made = await this.schedules.check(this.definitionOf(given));
    };
    const problems = await problemsIn(check, '/', ...KNOWN);
    return this.page(given, problems, made);
  }

  @Action('put', 'schedule.put', HERE)
  async put(@Body() given: Given): Promise<void> {
    const put = () => this.schedules.put(this.definitionOf(given));
    mustBeRight(await problemsIn(put, '/', ...KNOWN));
  }

  private definitionOf({ name = '', cron = '', job = '', payload = '{}', tags = '', ...given }: Given) {
    const { timeZone, missed, overlap, jitter } = given;
    return {
      ...{ name, cron, job: this.jobs.contract(job), payload: parse(payload) },
      timeZone: timeZone || undefined,
      missed: (missed || undefined) as Missed | undefined,
      overlap: (overlap || undefined) as Overlap | undefined,
      jitter: (jitter || undefined) as Duration | undefined,
      tags: tags.split(',').flatMap((tag) => tag.trim() || []),
    };
  }

  /** @param problems absent before it was checked. @param made what would be saved. */
  private page(given: Given, problems?: readonly Violation[], made?: Schedule): VNode {
    const { name, cron, timeZone, job, payload = '{}', missed, overlap, jitter, tags } = given;
    const fields = Object.fromEntries(FIELDS.map((field) => [field, given[field]]));
    const contracts = [...this.contracts].map(({ name }) => name);
    return (
      <Page title="Schedule" here="Schedules">
        <Checked problems={problems}>
          <p>
            Fires next {made && nextTicks(made).map((tick, index) => [index > 0 && ', ', <Time at={tick} />])}
          </p>
          <ActionButton to={`${HERE}/put`} label="Save" kind="primary" fields={fields} />
        </Checked>
        <Editor to={`${HERE}/edit`} label="Payload" name="payload" value={payload} submit="Check">
          <Field label="Name" name="name" value={name} placeholder="digest.acme" />
          <Field label="Cron" name="cron" value={cron} placeholder="0 7 * * *" />
          <Field label="Time zone" name="timeZone" value={timeZone} placeholder="UTC" />
          <Field label="Contract" name="job" value={job} suggestions={contracts} />
          <Field label="Missed ticks" name="missed" value={missed} suggestions={missedPolicies} />
          <Field
            label="While the job before runs"
            name="overlap"
            value={overlap}
            suggestions={overlapPolicies}
          />
          <Field label="Jitter" name="jitter" value={jitter} placeholder="0ms" />
          <Field label="Tags" name="tags" value={tags} placeholder="tenant:acme, nightly" />
        </Editor>
        <Text to={HERE} of="Back" kind="button" />
      </Page>
    );
  }
}
