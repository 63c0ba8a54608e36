const swcOptions = (syntax) => ({
  jsc: {
    target: 'es2023',
    parser: { syntax: 'typescript', decorators: true, ...syntax },
    transform: {
      legacyDecorator: true,
      decoratorMetadata: true,
      react: { runtime: 'automatic', importSource: 'preact' },
    },
  },
  module: { type: 'es6' },
});

/** @type {import('jest').Config} */
export default {
  testMatch: ['<rootDir>/{apps,libs,scripts,test}/**/*.{test,spec}.{ts,tsx}'],
  // Whole clones take minutes each: `npm run test:clone`.
  testPathIgnorePatterns: ['/node_modules/', '<rootDir>/test/clone/'],
  // The services live as long as the run: one broker and one database server, a vhost and a database for each test.
  globalSetup: '<rootDir>/test/support/global-setup.js',
  globalTeardown: '<rootDir>/test/support/global-teardown.js',
  testTimeout: 120_000,
  maxWorkers: 2,
  extensionsToTreatAsEsm: ['.ts', '.tsx'],
  // `source` makes '#jobs' and the like resolve to TypeScript; 'import' must not be added, it breaks CommonJS packages.
  testEnvironmentOptions: { customExportConditions: ['source', 'node', 'node-addons'] },
  moduleNameMapper: {
    '^(\\.{1,2}/.*)\\.js$': '$1',
    // A clone's own contracts may come and go: what tests enqueue is beside them.
    '^#contracts$': '<rootDir>/test/samples/all.ts',
  },
  transform: {
    '^.+\\.ts$': ['@swc/jest', swcOptions({})],
    '^.+\\.tsx$': ['@swc/jest', swcOptions({ tsx: true })],
  },
};
