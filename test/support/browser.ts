import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page,
} from 'playwright-core';
import { eventually } from '#testing';
import { canInstall, installPackage } from '../../scripts/services/debian-package.js';

/** Another test file may be installing it: what is unpacked already does not run yet. */
const INSTALL_LIMIT_MS = 300_000;
const NAMES = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'];
/** The browser reaches nothing but the page under test, and has no sandbox where the tests run as root. */
const ARGUMENTS = [
  ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
  ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
];

/** Where to look for Chromium, and what to do when it is not there: by default as this machine says. */
interface Search {
  path?: string;
  mayInstall?: boolean;
  isCi?: boolean;
}

/**
 * Finds Chromium, installing it first where that is possible.
 *
 * @returns undefined when there is none, which says so. @throws Error in CI, where no test may be left out unseen.
 */
export async function findChromium({
  path = process.env.PATH ?? '',
  mayInstall = canInstall(),
  isCi = Boolean(process.env.CI),
}: Search = {}): Promise<string | undefined> {
  if (!installedChromium(path) && mayInstall) await installPackage('chromium', tmpdir());
  const found = installedChromium(path);
  if (found) {
    await eventually(() => promisify(execFile)(found, ['--version']), INSTALL_LIMIT_MS);
    return found;
  }
  const advice = 'There is no Chromium for the tests of the dashboard: sudo apt-get install -y chromium';
  if (isCi) throw new Error(advice);
  console.warn(`${advice}\nThey are left out.`);
  return undefined;
}

function installedChromium(path: string): string | undefined {
  return path
    .split(delimiter)
    .flatMap((folder) => NAMES.map((name) => join(folder, name)))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** A browser, and what went wrong in any of its pages. */
export interface TestBrowser {
  /** A page in a new context: no cookies, nothing cached. */
  open(options?: BrowserContextOptions): Promise<Page>;
  /** Errors, dialogs, and what the content security policy forbade; empty when all went well. */
  complaints: string[];
  close(): Promise<void>;
}

export async function givenBrowser(executablePath: string): Promise<TestBrowser> {
  const browser: Browser = await chromium.launch({ executablePath, args: ARGUMENTS });
  const complaints: string[] = [];
  const contexts: BrowserContext[] = [];
  return {
    complaints,
    open: async (options) => {
      const context = await browser.newContext(options);
      contexts.push(context);
      const page = await context.newPage();
      page.on('pageerror', (error) => complaints.push(`${page.url()}: ${error.message}`));
      // Chromium tells there of each violation of the policy; pages of this project write nothing there.
      page.on('console', (message) => complaints.push(`${page.url()}: ${message.text()}`));
      page.on('dialog', (dialog) => {
        complaints.push(`${page.url()}: dialog ${dialog.message()}`);
        void dialog.dismiss();
      });
      return page;
    },
    close: async () => {
      await Promise.all(contexts.map((context) => context.close()));
      await browser.close();
    },
  };
}
