/** What `#contracts` is to tests (`jest.config.js`), and to the apps that they start: the clone's own and the samples. */
export * from '../../libs/contracts/src/index.js';
export * from './contracts.js';
