import all from './jest.config.js';

const { globalSetup: _, globalTeardown: __, testMatch: ___, ...rest } = all;
const root = import.meta.dirname.replace(/[^\w/]/g, '\\$&');

/** The tests that need neither services nor a build: those beside the code, and those of documents and deploy files. @type {import('jest').Config} */
export default {
  ...rest,
  testRegex: [
    `^${root}/(apps|libs|scripts|test/deploy)/.*\\.(test|spec)\\.tsx?$`,
    `^${root}/test/(documents|roles|security-document|supply-chain)\\.test\\.ts$`,
  ],
};
