import { afterAll, afterEach, beforeAll, describe, expect } from '@jest/globals';
import type { Page } from 'playwright-core';
import * as contracts from '#contracts';
import { hashPassword } from '#dashboard';
import { type Handler, type JobContext, JobHandler } from '#jobs';
import { forwardedLog } from '#telemetry';
import { eventually } from '#testing';
import {
  type AppProcess,
  type Environment,
  givenEnvironment,
  givenProcess,
  givenWorker,
} from '#testing/services';
import { SampleFlaky } from '../samples/contracts.js';
import { findChromium, givenBrowser, type TestBrowser } from '../support/browser.js';

/** What a client would write to run a script in the operator's browser. */
export const NASTY = `<img src=x onerror="window.hacked=1">"><script>window.hacked=1</script>' onfocus='window.hacked=1`;
/** Of every user. */
export const PASSWORD = 'correct horse battery staple';

/** Runs until the test lets it go on; fails as often as its payload says. */
@JobHandler(SampleFlaky)
export class FlakyHandler implements Handler<typeof SampleFlaky> {
  static isHeld = false;
  /** What it logs while it is held. */
  static say: string | undefined;

  async handle({ payload, attempt, progress, signal, log }: JobContext<typeof SampleFlaky>) {
    progress(0.4, NASTY);
    log.info({ [NASTY]: NASTY }, NASTY);
    while (FlakyHandler.isHeld && !signal.aborted) {
      if (FlakyHandler.say) log.warn(FlakyHandler.say);
      FlakyHandler.say = undefined;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    if (attempt <= payload.failures) throw new Error(NASTY);
    return { attempts: attempt };
  }
}

/** The api as a process, a worker for `sample.flaky` in this one, a browser, and the users ada (operator), bob (viewer). */
export interface Stage {
  environment: Environment;
  api: AppProcess;
  browser: TestBrowser;
  /** A page on which ada is signed in. */
  operator: Page;
  signIn(page: Page, name: string): Promise<Page>;
  enqueue(options?: object): Promise<string>;
  /** A job that died of {@link NASTY}. */
  givenDead(): Promise<string>;
  /** Waits until a job is in a state. */
  until(id: string, state: string): Promise<void>;
  close(): Promise<void>;
}

const chromium = await findChromium();

/**
 * Tests that share a stage, which stands once they run; left out where there is no Chromium. None of them may leave a
 * complaint in the browser.
 */
export function onStage(title: string, tests: (stage: Stage) => void): void {
  const stage = {} as Stage;
  (chromium ? describe : describe.skip)(title, () => {
    beforeAll(async () => void Object.assign(stage, await givenStage(chromium ?? '')));
    afterEach(() => {
      FlakyHandler.isHeld = false;
      expect(stage.browser.complaints.splice(0)).toEqual([]);
    });
    afterAll(() => stage.close?.());
    tests(stage);
  });
}

async function givenStage(chromium: string): Promise<Stage> {
  const environment = await givenEnvironment(Object.values(contracts));
  const hash = await hashPassword(PASSWORD);
  const users = `operator:ada:${hash},viewer:bob:${hash}`;
  const [api, worker, browser] = await Promise.all([
    givenProcess('api', environment, { DASHBOARD_USERS: users }).then((api) => api.ready()),
    givenWorker(environment, {
      contracts: Object.values(contracts),
      handlers: [FlakyHandler],
      log: forwardedLog('info', () => {}),
      settings: { WORKER_QUEUES: ['sample-flaky'] },
    }),
    givenBrowser(chromium),
  ]);
  const enqueue: Stage['enqueue'] = async (options = {}) => {
    const response = await fetch(`${api.url}/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'sample.flaky', payload: { failures: 0 }, options }),
    });
    return ((await response.json()) as { id: string }).id;
  };
  const signIn: Stage['signIn'] = async (page, name) => {
    await page.goto(`${api.url}/dashboard`);
    await page.getByLabel('Name').fill(name);
    await page.getByLabel('Password').fill(PASSWORD);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('heading', { name: 'Overview' }).waitFor();
    return page;
  };
  return {
    ...{ environment, api, browser, enqueue, signIn },
    operator: await signIn(await browser.open(), 'ada'),
    givenDead: async () => {
      const id = await enqueue({ delay: '1h' });
      await environment.sql(
        `update jobs set state = 'dead', finished_at = now(), publish_at = now(), attempt = 1,
           error_form = regexp_replace($2, '\\d+', '#', 'g'),
           attempts = jsonb_build_array(jsonb_build_object('attempt', 1, 'outcome', 'failed', 'worker', 'host:1',
             'startedAt', now(), 'finishedAt', now(),
             'error', jsonb_build_object('message', $2::text, 'class', $2, 'stack', $2)))
         where id = $1`,
        [id, NASTY],
      );
      return id;
    },
    until: async (id, state) => {
      const read = () => environment.sql('select 1 from jobs where id = $1 and state = $2', [id, state]);
      await eventually(async () => (await read()).length === 1);
    },
    close: async () => {
      await browser.close();
      await worker.close();
      const code = await api.stop();
      await environment.close();
      if (code !== 0) throw new Error(`The api ended with ${code}:\n${api.output()}`);
    },
  };
}
