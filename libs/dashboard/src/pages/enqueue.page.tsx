import { Body, Get, HttpCode, Post, Query } from '@nestjs/common';
import type { VNode } from 'preact';
import { parse } from 'secure-json-parse';
import { Contracts, Jobs, payloadSchema, type Violation } from '#jobs';
import { address, jobPath } from '../addresses.js';
import { Checked, mustBeRight, problemsIn } from '../components/checked.js';
import { exampleOf } from '../components/example.js';
import { ActionButton, Editor, Field, Filters } from '../components/forms.js';
import { Page } from '../components/page.js';
import { Action, DashboardController } from '../dashboard.guard.js';

const HERE = address('/enqueue');

interface Given {
  name?: string;
  payload?: string;
}

/** Enqueues a job by hand: its contract, a payload that is checked, and then the job. */
@DashboardController('/enqueue')
export class EnqueuePage {
  constructor(
    private readonly jobs: Jobs,
    private readonly contracts: Contracts,
  ) {}

  @Get()
  show(@Query() { name = '' }: Given): VNode {
    const contract = this.contracts.find(name);
    const example = contract && exampleOf(payloadSchema(contract, '#'));
    return this.page({ name, payload: contract && JSON.stringify(example, null, 2) });
  }

  /** Enqueues nothing. */
  @Post()
  @HttpCode(200)
  async check(@Body() given: Given): Promise<VNode> {
    return this.page(given, await this.problemsOf(given));
  }

  @Action('run', 'job.enqueue')
  async enqueue(@Body() given: Given) {
    const { name = '', payload = '' } = given;
    mustBeRight(await this.problemsOf(given));
    const { id } = await this.jobs.enqueue(this.jobs.contract(name), parse(payload));
    return { url: jobPath(id), count: 1 };
  }

  private problemsOf({ name = '', payload = '' }: Given): Promise<readonly Violation[]> {
    return problemsIn(() => this.jobs.prepare(this.jobs.contract(name), parse(payload)), '/payload');
  }

  /** @param problems absent before it was checked. */
  private page({ name = '', payload }: Given, problems?: readonly Violation[]): VNode {
    const names = [...this.contracts].map(({ name }) => name);
    return (
      <Page title="Enqueue a job" here="Jobs">
        <Filters to={HERE} submit="Choose">
          <Field label="Contract" name="name" value={name} suggestions={names} />
        </Filters>
        <Checked problems={problems}>
          <ActionButton to={`${HERE}/run`} label="Enqueue" kind="primary" fields={{ name, payload }} />
        </Checked>
        {payload !== undefined && (
          <Editor
            to={HERE}
            label={`Payload of ${name}`}
            name="payload"
            value={payload}
            submit="Check"
            fields={{ name }}
          />
        )}
      </Page>
    );
  }
}
