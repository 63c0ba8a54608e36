import { Body, Get, HttpCode, Post, Query } from '@nestjs/common';
import type { VNode } from 'preact';
import { parse } from 'secure-json-parse';
import { ContractError } from '#define-job';
import { ProblemException } from '#http';
import { Contracts, ContractViolationError, Jobs, PayloadError, UnknownContractError } from '#jobs';
import { type ScheduleDefinition, ScheduleOfCodeError, Schedules } from '#schedules';
import { Problems } from '../components/changes.js';
import { ActionButton, Checked, Editor, Field } from '../components/forms.js';
import { Page } from '../components/page.js';
import { Text } from '../components/values.js';
import { Action, DashboardController } from '../dashboard.guard.js';

const HERE = '/dashboard/schedules';
type Given = Partial<Record<'name' | 'cron' | 'timeZone' | 'job' | 'payload', string>>;
type Problem = { pointer: string; detail: string };

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
    const { cron, timeZone = 'UTC', job, payload = {} } = known ?? {};
    return this.page({ name, cron, timeZone, job, payload: JSON.stringify(payload, null, 2) });
  }

  /** Changes nothing. */
  @Post('edit')
  @HttpCode(200)
  check(@Body() given: Given): VNode {
    try {
      this.schedules.check(this.definitionOf(given));
      return this.page(given, []);
    } catch (error) {
      return this.page(given, problemsOf(error));
    }
  }

  @Action('put', 'schedule.put', HERE)
  async put(@Body() given: Given): Promise<void> {
    try {
      await this.schedules.put(this.definitionOf(given));
    } catch (error) {
      const [{ pointer, detail } = { pointer: '', detail: '' }] = problemsOf(error);
      throw new ProblemException(422, 'request-does-not-fit', `${pointer} ${detail}`);
    }
  }

  private definitionOf({
    name = '',
    cron = '',
    timeZone,
    job = '',
    payload = '{}',
  }: Given): ScheduleDefinition {
    return { name, cron, timeZone: timeZone || 'UTC', job: this.jobs.contract(job), payload: parse(payload) };
  }

  /** @param problems absent before it was checked. */
  private page(given: Given, problems?: readonly Problem[]): VNode {
    const { name, cron, timeZone, job, payload = '{}' } = given;
    const contracts = [...this.contracts].map(({ name }) => name);
    return (
      <Page title="Schedule" here="Schedules">
        <Checked>
          {problems && problems.length > 0 && <Problems of={problems} />}
          {problems?.length === 0 && (
            <ActionButton
              to={`${HERE}/put`}
              label="Save"
              kind="primary"
              fields={{ name, cron, timeZone, job, payload }}
            />
          )}
        </Checked>
        <Editor to={`${HERE}/edit`} label="Payload" name="payload" value={payload} submit="Check">
          <Field label="Name" name="name" value={name} placeholder="digest.acme" />
          <Field label="Cron" name="cron" value={cron} placeholder="0 7 * * *" />
          <Field label="Time zone" name="timeZone" value={timeZone} placeholder="UTC" />
          <Field label="Contract" name="job" value={job} suggestions={contracts} />
        </Editor>
        <Text to={HERE} of="Back" kind="button" />
      </Page>
    );
  }
}

function problemsOf(error: unknown): readonly Problem[] {
  if (error instanceof ContractViolationError) return error.violations;
  if (error instanceof SyntaxError) return [{ pointer: 'JSON', detail: error.message }];
  const isKnown = [ContractError, PayloadError, UnknownContractError, ScheduleOfCodeError].some(
    (kind) => error instanceof kind,
  );
  if (isKnown) return [{ pointer: '/', detail: (error as Error).message }];
  throw error;
}
