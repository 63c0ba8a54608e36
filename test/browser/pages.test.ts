import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { beforeAll, expect, test } from '@jest/globals';
import { eventually } from '#testing';
import { FlakyHandler, NASTY, onStage, type Stage } from './stage.js';

onStage('every page of the dashboard', (stage) => {
  let paths: string[];
  beforeAll(async () => {
    paths = await givenNastyRecords(stage);
  });

  test('shows what clients wrote as text and runs nothing of it, is accessible, and fits 360 pixels', async () => {
    const { api, operator } = stage;
    const axe = await readFile(createRequire(import.meta.url).resolve('axe-core'), 'utf8');
    for (const [index, path] of paths.entries()) {
      await operator.emulateMedia({ colorScheme: index % 2 ? 'light' : 'dark' });
      await operator.goto(api.url + path);
      await operator.locator('h1, h2').first().waitFor();
      await eventually(async () => (await operator.content()).includes('&lt;img src=x onerror='));
      expect(await operator.locator('main img').count()).toBe(0);
      // Not as an element of the page, which its policy would forbid.
      await operator.evaluate(axe);
      const { violations } = (await operator.evaluate('axe.run()')) as {
        violations: { id: string; nodes: { html: string }[] }[];
      };
      await operator.setViewportSize({ width: 360, height: 800 });
      const width = await operator.evaluate('document.documentElement.scrollWidth');
      await operator.setViewportSize({ width: 1280, height: 800 });
      const faults = violations.map(({ id, nodes }) => [id, nodes[0]?.html]);
      const hacked = await operator.evaluate('window.hacked');
      expect({ path, faults, width, hacked }).toEqual({ path, faults: [], width: 360, hacked: undefined });
    }
  });

  test('puts in what comes while it is looked at, as text too', async () => {
    const { api, operator, enqueue } = stage;
    FlakyHandler.isHeld = true;
    const id = await enqueue({ delay: '1h' });
    await operator.goto(`${api.url}/dashboard/jobs/${id}`);
    await fetch(`${api.url}/jobs/${id}/reschedule`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"delay": 0}',
    });
    await operator.getByText('<img src=x onerror=').waitFor();
    expect(await operator.locator('main img').count()).toBe(0);
    expect(await operator.evaluate('window.hacked')).toBeUndefined();
  });

  test('can be read without JavaScript, and offers no action to a viewer', async () => {
    const { api, browser, signIn } = stage;
    const viewer = await signIn(await browser.open({ javaScriptEnabled: false }), 'bob');
    for (const path of paths) {
      await viewer.goto(api.url + path);
      await viewer.locator('h1, h2').first().waitFor();
      expect(await viewer.locator('main form[method=post]').count()).toBe(0);
    }
  });

  test('the keyboard leads to the content and along the navigation', async () => {
    const { api, operator } = stage;
    await operator.goto(`${api.url}/dashboard/jobs`);
    const focused = () => operator.evaluate('document.activeElement.textContent.trim()');
    await operator.keyboard.press('Tab');
    expect(await focused()).toBe('Skip to content');
    await operator.keyboard.press('Enter');
    expect(await operator.evaluate('document.activeElement.id')).toBe('content');
    await operator.goto(`${api.url}/dashboard/jobs`);
    for (let presses = 0; (await focused()) !== 'Workers'; presses++) {
      expect(presses).toBeLessThan(10);
      await operator.keyboard.press('Tab');
      const outline = await operator.evaluate('getComputedStyle(document.activeElement).outlineStyle');
      expect(outline).toBe('solid');
    }
    await operator.keyboard.press('Enter');
    await operator.getByRole('heading', { name: 'Workers', exact: true }).waitFor();
  });
});

/** Whatever somebody outside can write, in every field that a page shows. @returns the pages that show it. */
async function givenNastyRecords({ environment, givenDead }: Stage): Promise<string[]> {
  const dead = await givenDead();
  const batch = '01900000-0000-7000-8000-000000000001';
  await environment.sql(
    `update jobs set payload = json_build_object('failures', 100, 'note', $2::text) where id = $1`,
    [dead, NASTY],
  );
  await environment.sql(`insert into batches (id, name, total) values ($1, $2, 1)`, [batch, NASTY]);
  const [{ id }] = (await environment.sql(
    `insert into jobs (id, name, queue, state, payload, result, attempt, max_attempts, progress, progress_note,
           batch, previous, run_at, finished_at)
         values (gen_random_uuid(), $1, $1, 'succeeded', to_json(array[$1]), to_json(array[$1]), 1, 1, 0.5, $1, $2,
           json_build_object('id', gen_random_uuid(), 'name', $1::text, 'result', $1::text), now(), now())
         returning id`,
    [NASTY, batch],
  )) as [{ id: string }];
  await environment.sql(
    `insert into job_logs (job, claim, line, attempt, at, level, message, fields)
     select $1, 1, n, 1, now(), (array['info', 'warn', 'error', 'fatal'])[n % 4 + 1], $2 || E'\\nforged' || $2,
       json_build_object($2::text, $2::text || repeat('x', 300)) from generate_series(1, 250) n`,
    [id, NASTY],
  );
  await environment.sql(`insert into paused_queues (queue) values ($1)`, [NASTY]);
  await environment.sql(
    `insert into unprocessable_messages (job, digest, routing_key, properties, headers, body)
         values ($2, $1, $1, json_build_object($1::text, $1::text), json_build_object('h', $1::text), $1::bytea)`,
    [NASTY.replaceAll('\\', ''), dead],
  );
  await environment.sql(
    `insert into schedules (name, spec, next_at)
         values ($1, jsonb_build_object('cron', '* * * * *', 'timeZone', 'UTC', 'job', $1::text, 'payload', $1::text,
           'missed', 'once', 'overlap', 'allow', 'jitterMs', 0), now())`,
    [NASTY],
  );
  await environment.sql(`update workers set name = $1, queues = array[$1]`, [NASTY]);
  await environment.sql(`insert into audit (actor, via, action, subject) values ($1, 'http', $1, $1)`, [
    NASTY,
  ]);
  return [
    ...['', '/jobs', '/dead-letters', '/schedules', '/batches', '/workers', '/audit'].map(
      (path) => `/dashboard${path}`,
    ),
    ...[dead, id, `${dead}/edit`].map((path) => `/dashboard/jobs/${path}`),
    `/dashboard/jobs/many?action=cancel&name=${encodeURIComponent(NASTY)}`,
    `/dashboard/schedules/edit?name=${encodeURIComponent(NASTY)}`,
    `/dashboard/batches/${batch}`,
    `/dashboard/jobs?name=${encodeURIComponent(NASTY)}&queue=${encodeURIComponent(NASTY)}`,
    `/dashboard/dead-letters?error=${encodeURIComponent(NASTY)}`,
    `/dashboard/dead-letters/confirm?action=replay&errorForm=${encodeURIComponent(NASTY)}`,
  ];
}
