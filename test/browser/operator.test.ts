import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import * as contracts from '#contracts';
import { hashPassword } from '#dashboard';
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
});
