import { Body, Get, HttpCode, NotFoundException, Param, Post } from '@nestjs/common';
import type { VNode } from 'preact';
import { parse } from 'secure-json-parse';
import { ContractViolationError, Jobs, PayloadError, UnknownContractError } from '#jobs';
import { JobQueries, type JobView } from '#records';
import { jobPath } from '../addresses.js';
import { Changes, changesOf, Problems } from '../components/changes.js';
import { ActionButton, Checked, Editor } from '../components/forms.js';
import { Page, Section } from '../components/page.js';
import { Text } from '../components/values.js';
import { DashboardController } from '../dashboard.guard.js';

type Problem = { pointer: string; detail: string };

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
    const { payload, problems } = await this.problemsOf(id, text);
    const changes = payload === undefined ? undefined : changesOf(shown, payload);
    return <Edited job={job} text={text} problems={problems} changes={changes} />;
  }

  private async find(id: string): Promise<{ job: JobView; shown: unknown }> {
    const job = await this.jobs.find(id);
    if (!job) throw new NotFoundException();
    return { job, shown: job.upgradedPayload ?? job.payload };
  }

  private async problemsOf(id: string, text: string): Promise<{ payload?: unknown; problems: Problem[] }> {
    let payload: unknown;
    try {
      payload = parse(text);
    } catch (error) {
      return { problems: [{ pointer: 'JSON', detail: (error as Error).message }] };
    }
    const job = await this.views.stored(id);
    try {
      if (job) this.jobs.editOf({ payload }, true)?.(job);
      return { payload, problems: [] };
    } catch (error) {
      if (error instanceof ContractViolationError) return { payload, problems: [...error.violations] };
      if (error instanceof PayloadError || error instanceof UnknownContractError)
        return { payload, problems: [{ pointer: '/payload', detail: error.message }] };
      throw error;
    }
  }
}

interface EditedProps {
  job: JobView;
  text: string;
  problems?: Problem[];
  /** Absent before it was checked. */
  changes?: ReturnType<typeof changesOf>;
}

function Edited({ job, text, problems = [], changes }: EditedProps) {
  const isFine = changes !== undefined && problems.length === 0;
  const fields = { payload: text };
  return (
    <Page title={`Run ${job.name} again`} id={job.id} here="Jobs">
      <p class="hint">
        What is [redacted] stays as it is. The job itself keeps the payload that it was enqueued with.
      </p>
      <Checked>
        {problems.length > 0 && <Problems of={problems} />}
        {changes && (
          <Section title="Changes">
            <Changes of={changes} />
          </Section>
        )}
        {isFine && (
          <div class="actions">
            <ActionButton
              to={`${jobPath(job.id)}/rerun`}
              label="Run again as a new job"
              kind="primary"
              fields={fields}
            />
            {job.state === 'dead' && (
              <ActionButton
                to={`${jobPath(job.id)}/replay`}
                label="Replay with this payload"
                fields={fields}
              />
            )}
          </div>
        )}
      </Checked>
      <Editor to={`${jobPath(job.id)}/edit`} label="Payload" name="payload" value={text} submit="Check" />
      <Text to={jobPath(job.id)} of="Back" kind="button" />
    </Page>
  );
}
