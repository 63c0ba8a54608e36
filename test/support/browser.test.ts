import { expect, jest, test } from '@jest/globals';
import { findChromium } from './browser.js';

const nowhere = { path: '/nowhere', mayInstall: false };

test('where there is no Chromium, the tests of the dashboard are left out with a word; in CI they fail', async () => {
  await expect(findChromium({ ...nowhere, isCi: true })).rejects.toThrow('apt-get install -y chromium');
  const warn = jest.spyOn(console, 'warn').mockImplementation(() => {});
  expect(await findChromium({ ...nowhere, isCi: false })).toBeUndefined();
  expect(warn).toHaveBeenCalledWith(expect.stringContaining('They are left out.'));
  warn.mockRestore();
});
