import { Body, Get, HttpCode, NotFoundException, Param, Post } from '@nestjs/common';
import type { VNode } from 'preact';
import { parse } from 'secure-json-parse';
import { Jobs, UnknownContractError, type Violation } from '#jobs';
import { JobQueries, type JobView } from '#records';
import { jobPath } from '../addresses.js';
import { Changes, changesOf } from '../components/changes.js';
import { Checked, problemsIn } from '../components/checked.js';
import { ActionButton, Editor } from '../components/forms.js';
import { Page, Section } from '../components/page.js';
import { Text } from '../components/values.js';
import { DashboardController } from '../dashboard.guard.js';

/** The payload of a job that is to run again: what is changed in it, and what is wrong, before it does. */
@DashboardController('/jobs/:id/edit')
export class EditPage {
  constructor(
    private readonly views: JobQueries,
    private readonly jobs: Jobs,
  ) {}

  @Get()
  async show(@Param('id') id: string): Promise<VNode> {
    const { job, shown } = await this.find(id);
    return <Edited job={job} text={JSON.stringify(shown, null, 2)} />;
  }

  /** Changes nothing. */
  @Post()
  @HttpCode(200)
  async check(@Param('id') id: string, @Body() { payload: text = '' }: { payload?: string }): Promise<VNode> {
    const { job, shown } = await this.find(id);
    let payload: unknown;
    const check = async () => {
      payload = parse(text);
      const stored = await this.views.stored(id);
      if (stored) this.jobs.editOf({ payload }, true)?.(stored);
    };
    const problems = await problemsIn(check, '/payload', UnknownContractError);
    const changes = payload === undefined ? undefined : changesOf(shown, payload);
    return <Edited job={job} text={text} problems={problems} changes={changes} />;
  }

  private async find(id: string): Promise<{ job: JobView; shown: unknown }> {
    const job = await this.jobs.find(id);
    if (!job) throw new NotFoundException();
    return { job, shown: job.upgradedPayload ?? job.payload };
  }
}

interface EditedProps {
  job: JobView;
  text: string;
  /** Absent before it was checked. */
  problems?: readonly Violation[];
  changes?: ReturnType<typeof changesOf>;
}

function Edited({ job, text, problems, changes }: EditedProps) {
  const path = jobPath(job.id);
  const fields = { payload: text };
  const found = changes && (
    <Section title="Changes">
      <Changes of={changes} />
    </Section>
  );
  return (
    <Page title={`Run ${job.name} again`} id={job.id} here="Jobs">
      <p class="hint">
        What is [redacted] stays as it is. The job itself keeps the payload that it was enqueued with.
      </p>
      <Checked problems={problems} found={found}>
        <div class="actions">
          <ActionButton to={`${path}/rerun`} label="Run again as a new job" kind="primary" fields={fields} />
          {job.state === 'dead' && (
            <ActionButton to={`${path}/replay`} label="Replay with this payload" fields={fields} />
          )}
        </div>
      </Checked>
      <Editor to={`${path}/edit`} label="Payload" name="payload" value={text} submit="Check" />
      <Text to={path} of="Back" kind="button" />
    </Page>
  );
}
