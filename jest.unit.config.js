import all from './jest.config.js';

/** The tests beside the code: they need neither services nor a build. @type {import('jest').Config} */
const { globalSetup: _, globalTeardown: __, ...rest } = all;
export default { ...rest, testMatch: ['<rootDir>/{apps,libs,scripts}/**/*.{test,spec}.{ts,tsx}'] };
