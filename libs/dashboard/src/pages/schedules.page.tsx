import { Get, NotFoundException, Param, Query } from '@nestjs/common';
import type { VNode } from 'preact';
import { Schedules, type ScheduleView } from '#schedules';
import { address, jobPath } from '../addresses.js';
import { ActionButton } from '../components/forms.js';
import { Page } from '../components/page.js';
import { type Column, Table } from '../components/table.js';
import { Badge, JobLink, Long, None, shown, Text, Time } from '../components/values.js';
import { Action, DashboardController } from '../dashboard.guard.js';

const HERE = '/dashboard/schedules';
const NONE = ['No schedules', 'The workers declare them when they start: see docs/schedules.md.'] as const;

@DashboardController('/schedules')
export class SchedulesPage {
  constructor(private readonly schedules: Schedules) {}

  @Get()
  async show(@Query('done') done: string): Promise<VNode> {
    const notice = done === 'late' ? 'Nothing was changed: the schedule is disabled.' : undefined;
    return (
      <Page
        title="Schedules"
        here="Schedules"
        notice={notice}
        actions={<Text to={`${HERE}/edit`} of="New" kind="button" />}
      >
        <Table caption="Schedules" columns={columns} rows={await this.schedules.list()} empty={NONE} />
      </Page>
    );
  }

  @Action(':name/run', 'schedule.run')
  async run(@Param('name') name: string) {
    await this.mustExist(name);
    const job = await this.schedules.run(name);
    return job ? { url: jobPath(job.id), count: 1 } : { url: `${HERE}?done=late`, count: 0 };
  }

  @Action(':name/pause', 'schedule.pause', HERE)
  async pause(@Param('name') name: string): Promise<void> {
    await this.mustExist(name);
    await this.schedules.pause(name);
  }

  @Action(':name/resume', 'schedule.resume', HERE)
  async resume(@Param('name') name: string): Promise<void> {
    await this.mustExist(name);
    await this.schedules.resume(name);
  }

  @Action(':name/delete', 'schedule.delete', HERE)
  async delete(@Param('name') name: string): Promise<void> {
    await this.mustExist(name);
    await this.schedules.delete(name);
  }

  private async mustExist(name: string): Promise<void> {
    if (!(await this.schedules.find(name))) throw new NotFoundException();
  }
}

const columns: Column<ScheduleView>[] = [
  ['Schedule', (schedule) => <NameAndJob {...schedule} />],
  ['State', ({ state }) => <Badge state={state} />],
  ['When', ({ cron, timeZone }) => [<Text of={cron} kind="id" />, ' ', <Text of={timeZone} kind="hint" />]],
  [
    'Last tick',
    ({ lastTick }) => [<Time at={lastTick?.at} />, ' ', <Text of={lastTick?.outcome ?? ''} kind="hint" />],
  ],
  ['Newest job', ({ lastJob }) => (lastJob ? <JobLink id={lastJob} /> : <None />)],
  ['Next', ({ next }) => <Ticks times={next} />],
  ['Actions', (schedule) => <Buttons {...schedule} />, 'actions'],
];

const NameAndJob = ({ name, job, payload }: ScheduleView) => (
  <>
    <strong>{name}</strong>
    <details>
      <summary>{job}</summary>
      <Long text={shown(payload)} />
    </details>
  </>
);

const Ticks = ({ times: [first, ...others] }: { times: ScheduleView['next'] }) => (
  <details>
    <summary>
      <Time at={first} />
    </summary>
    {others.map((tick) => (
      <div>
        <Time at={tick} />
      </div>
    ))}
  </details>
);

function Buttons({ name, state, madeBy }: ScheduleView) {
  const path = `${HERE}/${encodeURIComponent(name)}`;
  const deletion = <ActionButton to={`${path}/delete`} label="Delete" about={name} kind="danger" />;
  if (state === 'disabled') return <div class="actions">{deletion}</div>;
  return (
    <div class="actions">
      {madeBy === 'run-time' && (
        <>
          <Text to={address('/schedules/edit', { name })} of="Change" kind="button" />
          {deletion}
        </>
      )}
      <ActionButton to={`${path}/run`} label="Run now" about={name} />
      {state === 'paused' ? (
        <ActionButton to={`${path}/resume`} label="Resume" about={name} kind="primary" />
      ) : (
        <ActionButton to={`${path}/pause`} label="Pause" about={name} />
      )}
    </div>
  );
}
