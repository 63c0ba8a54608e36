import type * as jest from '@jest/globals';

// What `nest generate` writes as a test imports nothing of Jest: it takes these as globals, as Jest provides them.
declare global {
  const describe: typeof jest.describe;
  const test: typeof jest.test;
  const it: typeof jest.it;
  const expect: typeof jest.expect;
  const beforeAll: typeof jest.beforeAll;
  const beforeEach: typeof jest.beforeEach;
  const afterEach: typeof jest.afterEach;
  const afterAll: typeof jest.afterAll;
}
