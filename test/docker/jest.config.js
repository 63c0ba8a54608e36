import base from '../../jest.config.js';

/** For what needs a Docker engine and minutes: `npm run test:docker`. It starts its own services. */
const { globalSetup, globalTeardown, ...rest } = base;

/** @type {import('jest').Config} */
export default {
  ...rest,
  rootDir: '../..',
  testMatch: ['<rootDir>/test/docker/*.engine.ts'],
  testTimeout: 600_000,
};
