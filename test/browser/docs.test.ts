import { expect, test } from '@jest/globals';
import { onStage } from './stage.js';

onStage('the page to try the api on', (stage) => {
  test('calls the api, and runs under a policy that lets nothing in from elsewhere', async () => {
    const { api, browser } = stage;
    const page = await browser.open();
    await page.goto(`${api.url}/docs`);
    const call = page.locator('#operations-queues-QueuesController_list');
    await call.getByRole('button').first().click();
    await call.getByRole('button', { name: 'Try it out' }).click();
    await call.getByRole('button', { name: 'Execute' }).click();
    await call.locator('.live-responses-table .response-col_status').getByText('200').first().waitFor();
    expect(await call.locator('.live-responses-table').textContent()).toContain('sample-flaky');
  });
});
