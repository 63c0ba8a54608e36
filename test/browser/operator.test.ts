import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import * as contracts from '#contracts';
import { hashPassword } from '#dashboard';
import { eventually } from '#testing';
import { type AppProcess, type Environment, givenEnvironment, givenProcess } from '#testing/services';
import { findChromium, givenBrowser, type TestBrowser } from '../support/browser.js';
import { givenReceiver, type Receiver, receiverSettings } from '../support/receiver.js';

const PASSWORD = 'woken at 3 a.m.';

const chromium = await findChromium();
let environment: Environment;
let api: AppProcess;
let worker: AppProcess;
let browser: TestBrowser;
let receiver: Receiver;

(chromium ? describe : describe.skip)('an operator who has docs/operations.md and the dashboard', () => {
  beforeAll(async () => {
    environment = await givenEnvironment(Object.values(contracts));
    receiver = await givenReceiver();
    receiver.open();
    const users = `operator:ada:${await hashPassword(PASSWORD)}`;
    [api, worker, browser] = await Promise.all([
      givenProcess('api', environment, { DASHBOARD_USERS: users }).then((app) => app.ready()),
      givenProcess('worker', environment, {}).then((app) => app.ready()),
      givenBrowser(chromium ?? ''),
    ]);
  });
  afterAll(async () => {
    await browser?.close();
    await Promise.all([api?.stop(), worker?.stop()]);
    await environment?.close();
    await receiver?.close();
  });

  test('finds out why a job failed, puts it right, replays it and sees it succeed', async () => {
    await fetch(`${api.url}/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        name: 'sample.call',
        payload: { url: receiver.url, type: 'invoice.paid', data: { invoice: 17 } },
      }),
    });
    const page = await browser.open();
    await page.goto(`${api.url}/dashboard`);
    await page.getByLabel('Name').fill('ada');
    await page.getByLabel('Password').fill(PASSWORD);
    await page.keyboard.press('Enter');

    // "Start at the overview": the page itself shows that a job died meanwhile.
    const queue = page.getByRole('row').filter({ hasText: 'sample-call' });
    await queue.locator('.red', { hasText: '1' }).click();
    await page.getByRole('link', { name: 'sample.call' }).click();
    // "Errors of the shipped handlers say what to do."
    await page
      .getByText(/SAMPLE_CALLS is not set.*set it for the workers, and replay the job/)
      .first()
      .waitFor();
    await page.getByRole('heading', { name: 'Attempt 1' }).waitFor();
    expect(await page.getByRole('region', { name: 'Payload' }).textContent()).toContain('"invoice": 17');

    expect(await worker.stop()).toBe(0);
    worker = await (await givenProcess('worker', environment, receiverSettings)).ready();
    await page.getByRole('button', { name: 'Replay' }).click();
    await page.locator('.facts .badge.succeeded').waitFor();
    expect(receiver.received).toHaveLength(1);

    await page.getByRole('link', { name: 'Dead letters' }).click();
    await page.getByRole('heading', { name: 'No dead letters' }).waitFor();
    await page.getByRole('link', { name: 'Audit' }).click();
    await page.getByRole('row').filter({ hasText: 'job.replay' }).filter({ hasText: 'ada' }).waitFor();
    expect(browser.complaints).toEqual([]);
  });

  test('finds what failed for one customer last night, corrects it, runs it again at 50 a second and sees it done', async () => {
    const jobs = Array.from({ length: 130 }, (_, index) => ({
      name: 'sample.flaky',
      payload: { failures: 100, customer: { id: index < 125 ? 42 : 43 } },
    }));
    const response = await fetch(`${api.url}/jobs/bulk`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jobs }),
    });
    expect(response.status).toBe(202);
    const dead = () =>
      environment.sql<{ id: string }>(
        "select id from jobs where name = 'sample.flaky' and state = 'dead' order by id",
      );
    await eventually(async () => (await dead()).length === 130, 60_000);
    // Five of this customer's died today.
    const lastNight = (await dead()).slice(5).map(({ id }) => id);
    const midnight = new Date().setUTCHours(0, 0, 0, 0);
    await environment.sql('update jobs set finished_at = $2 where id = any ($1)', [
      lastNight,
      new Date(midnight - 3_600_000),
    ]);

    const page = await browser.open();
    await page.goto(`${api.url}/dashboard`);
    await page.getByLabel('Name').fill('ada');
    await page.getByLabel('Password').fill(PASSWORD);
    await page.keyboard.press('Enter');
    await page.getByRole('link', { name: 'Dead letters' }).click();
    const asText = (time: number) => new Date(time).toISOString().slice(0, 16);
    await page.getByLabel('Error contains').fill('as the first 100 do');
    await page.getByLabel('Payload has').fill('/customer/id:42');
    await page.getByLabel('From (UTC)').fill(asText(midnight - 8 * 3_600_000));
    await page.getByLabel('To (UTC)').fill(asText(midnight));
    await page.getByRole('button', { name: 'Filter' }).click();
    await page.getByText('120 dead letters').waitFor();
    await page.getByRole('link', { name: 'Replay these' }).click();
    await page.getByRole('heading', { name: 'Replay 120 dead letters?' }).waitFor();
    await page.getByLabel('Patch').fill('{"failures": 0}');
    await page.getByLabel('A second').fill('50');
    await page.getByRole('button', { name: 'Replay 120' }).click();
    await page.getByText('120 dead letters sent back to work.').waitFor();

    // The last of them wait for their second; then none waits any more.
    await page.goto(`${api.url}/dashboard/jobs?state=succeeded&where=/customer/id:42`);
    await eventually(async () => {
      await page.reload();
      return (await page.getByText('Nothing fits these filters').count()) === 0;
    });
    const ended = () =>
      environment.sql<{ count: number }>(
        `select count(*)::int from jobs
         where state = 'succeeded' and payload ->> 'failures' = '0' and original_payload ->> 'failures' = '100'
           and payload #>> '{customer,id}' = '42'
         group by run_at order by run_at`,
      );
    const inEachSecond = [{ count: 50 }, { count: 50 }, { count: 20 }];
    await eventually(async () => isDeepStrictEqual(await ended(), inEachSecond), 60_000);
    expect(await dead()).toHaveLength(10);
    await page.getByRole('link', { name: 'Audit' }).click();
    const entry = page.getByRole('row').filter({ hasText: 'dead-letters.replay' }).filter({ hasText: 'ada' });
    expect(await entry.textContent()).toContain('120');
    expect(browser.complaints).toEqual([]);
  });
});
