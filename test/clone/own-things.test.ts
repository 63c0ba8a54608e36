import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { eventually } from '#testing';
import { type Clone, givenClone, withApps } from '../support/clone.js';
import { Guide } from '../support/guide.js';

let clone: Clone;
beforeAll(async () => {
  clone = await givenClone();
}, 120_000);
afterAll(() => clone?.close());

test("a clone's own table, lib, setting, provider in a thread and controller work as docs/handlers.md says", async () => {
  const guide = new Guide(clone, { PORT: '0' }, 'docs/handlers.md', '## Things of your own');
  await guide.follow(false);
  await clone.lint();
  await clone.build();
  await clone.succeed(['dist/scripts/describe.js']);
  expect(await clone.read('docs/settings.md')).toContain('`INVOICE_GREETING` | `Dear`');
  expect(await clone.read('docs/openapi.json')).toContain('"/invoices"');
  await clone.test('write-invoice', 'test/describe');

  await withApps(clone, async (url) => {
    const id = '01890a5d-ac96-774b-bcce-b302099a8057';
    const post = async (body: object) => {
      const headers = { 'content-type': 'application/json' };
      const response = await fetch(`${url}/invoices`, {
        method: 'POST',
        headers,
        body: JSON.stringify(body),
      });
      return { status: response.status, body: await response.json() };
    };
    expect(await post({ id, customer: '' })).toMatchObject({
      status: 422,
      body: { type: expect.stringContaining('problem:'), errors: [{ pointer: '/customer' }] },
    });
    const { body } = await post({ id, customer: 'Ada' });
    await eventually(async () => {
      const job = (await (await fetch(`${url}/jobs/${body.id}`)).json()) as object;
      expect(job).toMatchObject({ state: 'succeeded', result: { done: 'Dear Ada'.length } });
      return true;
    });
  });
}, 300_000);
