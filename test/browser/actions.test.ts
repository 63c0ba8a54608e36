import { expect, test } from '@jest/globals';
import { eventually } from '#testing';
import { FlakyHandler, onStage, PASSWORD, type Stage } from './stage.js';

const lastAction = async ({ environment }: Stage) =>
  (await environment.sql('select actor, via, action, subject, count from audit order by id desc limit 1'))[0];

onStage('what an operator does in the dashboard', (stage) => {
  test('a running job is followed and cancelled', async () => {
    const { api, operator, enqueue, until } = stage;
    FlakyHandler.isHeld = true;
    const id = await enqueue();
    await until(id, 'running');
    await operator.goto(`${api.url}/dashboard/jobs/${id}`);
    await operator.getByText('40 %').waitFor();
    // Nobody loads the page again: it hears of what is logged, too.
    const log = operator.getByRole('region', { name: 'Log, newest first' });
    for (const said of ['first thing', 'second thing\n forged']) {
      FlakyHandler.say = said;
      await log.getByText(said.slice(0, 11)).waitFor();
    }
    expect(await log.textContent()).toMatch(
      /attempt 1 {2}warn {2}second thing\n {5}forged\n.*first thing\n.*info {2}<img/s,
    );
    await operator.getByRole('button', { name: 'Cancel' }).click();
    await operator.getByText('Cancelled. A job that runs is told').waitFor();
    // Nobody loads the page again: it hears of it.
    await operator.locator('.facts .badge.cancelled').waitFor();
    expect(await lastAction(stage)).toEqual({
      actor: 'ada',
      via: 'dashboard',
      action: 'job.cancel',
      subject: id,
      count: 1,
    });
  });

  test('a scheduled job is started now, and found by id, name and state', async () => {
    const { api, operator, enqueue } = stage;
    const id = await enqueue({ delay: '1h' });
    await operator.goto(`${api.url}/dashboard/jobs?state=scheduled`);
    await operator.getByLabel('Name').fill('sample.flaky');
    await operator.getByRole('button', { name: 'Filter' }).click();
    await operator.locator(`a.id[title="${id}"]`).waitFor();
    await operator.getByLabel('Id of a job').fill(id);
    await operator.keyboard.press('Enter');
    await operator.getByRole('button', { name: 'Start now' }).click();
    await operator.locator('.facts .badge.succeeded').waitFor();
  });

  test('a dead job is replayed, another one discarded', async () => {
    const { api, operator, givenDead, until } = stage;
    const [one, other] = [await givenDead(), await givenDead()];
    await operator.goto(`${api.url}/dashboard/jobs/${one}`);
    await operator.getByRole('button', { name: 'Replay' }).click();
    await operator.locator('.facts .badge.succeeded').waitFor();
    await operator.goto(`${api.url}/dashboard/jobs/${other}`);
    await operator.getByRole('button', { name: 'Discard' }).click();
    await operator.locator('.facts .badge.discarded').waitFor();
    await until(other, 'discarded');
  });

  test('dead letters are replayed by their error, after the number was told', async () => {
    const { api, operator, givenDead, until } = stage;
    const ids = [await givenDead(), await givenDead(), await givenDead()];
    await operator.goto(`${api.url}/dashboard/dead-letters`);
    await operator
      .getByRole('row')
      .filter({ hasText: 'sample.flaky' })
      .getByRole('link', { name: 'Replay' })
      .click();
    await operator.getByRole('heading', { name: /Replay \d dead letters\?/ }).waitFor();
    await operator.getByRole('button', { name: /Replay \d/ }).click();
    await operator.getByText(/\d dead letters sent back to work/).waitFor();
    await Promise.all(ids.map((id) => until(id, 'succeeded')));
    const { subject, count, ...action } = (await lastAction(stage)) as Record<string, unknown>;
    expect(action).toEqual({ actor: 'ada', via: 'dashboard', action: 'dead-letters.replay' });
    expect(JSON.parse(subject as string)).toMatchObject({ name: 'sample.flaky', queue: 'sample-flaky' });
    expect(count).toBeGreaterThanOrEqual(3);
  });

  test('an unprocessable message is looked at and discarded', async () => {
    const { api, environment, operator, until } = stage;
    await environment.publish('sample.flaky', '{no json', { type: 'sample.flaky', messageId: 'none' });
    const { job } = await eventually(
      async () => (await environment.sql<{ job: string }>('select job from unprocessable_messages'))[0],
    );
    await operator.goto(`${api.url}/dashboard/dead-letters?queue=sample-flaky`);
    await operator.getByRole('link', { name: /^messageId is missing/ }).click();
    await operator.getByText('{no json').waitFor();
    await operator.getByRole('button', { name: 'Discard' }).click();
    await operator.getByText('Given up for good').waitFor();
    await until(job, 'discarded');
  });

  test('a queue is paused and resumed', async () => {
    const { api, environment, operator } = stage;
    await operator.goto(`${api.url}/dashboard`);
    const row = operator.getByRole('row').filter({ hasText: 'sample-report' });
    await row.getByRole('button', { name: 'Pause sample-report' }).click();
    await row.locator('.badge.paused').waitFor();
    expect(await environment.sql(`select 1 from paused_queues where queue = 'sample-report'`)).toHaveLength(
      1,
    );
    await row.getByRole('button', { name: 'Resume sample-report' }).click();
    await row.getByRole('button', { name: 'Pause sample-report' }).waitFor();
    expect(await environment.sql(`select 1 from paused_queues where queue = 'sample-report'`)).toHaveLength(
      0,
    );
  });

  test('a schedule is run, paused and resumed', async () => {
    const { api, environment, operator } = stage;
    await environment.sql(
      `insert into schedules (name, spec, next_at)
       values ('flaky.daily', '{"cron": "0 3 * * *", "timeZone": "UTC", "job": "sample.flaky", "payload": {"failures": 0},
         "missed": "once", "overlap": "allow", "jitterMs": 0}', now() + interval '1 day')`,
    );
    await operator.goto(`${api.url}/dashboard/schedules`);
    const row = operator.getByRole('row').filter({ hasText: 'flaky.daily' });
    await row.getByRole('button', { name: 'Pause' }).click();
    await row.locator('.badge.paused').waitFor();
    await row.getByRole('button', { name: 'Resume' }).click();
    await row.locator('.badge.active').waitFor();
    await row.getByRole('button', { name: 'Run now' }).click();
    await operator.locator('.facts .badge.succeeded').waitFor();
  });

  test('a batch is watched and cancelled', async () => {
    const { api, operator } = stage;
    FlakyHandler.isHeld = true;
    const response = await fetch(`${api.url}/batches`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        name: 'sample.flaky',
        payloads: [{ failures: 0 }, { failures: 0 }],
        options: { delay: '1h' },
      }),
    });
    const { id } = (await response.json()) as { id: string };
    await operator.goto(`${api.url}/dashboard/batches`);
    await operator.locator(`a[href="/dashboard/batches/${id}"]`).click();
    await operator.getByText('0 of 2').waitFor();
    await operator.getByRole('button', { name: 'Cancel what has not ended' }).click();
    await operator.getByText('2 of 2').waitFor();
  });

  test('anyone who signs out is out, without JavaScript as well', async () => {
    const { api, browser, signIn } = stage;
    const page = await signIn(await browser.open({ javaScriptEnabled: false }), 'ada');
    await page.goto(`${api.url}/dashboard/jobs?state=dead`);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    await page.goto(`${api.url}/dashboard/jobs?state=dead`);
    await page.getByLabel('Name').fill('ada');
    await page.getByLabel('Password').fill(PASSWORD);
    await page.keyboard.press('Enter');
    // Where one wanted to go.
    await page.waitForURL(/state=dead/);
  });
});
