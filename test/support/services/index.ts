export {
  type AppOptions,
  givenProducer,
  givenProducerAndWorker,
  givenWorker,
  type Producer,
} from './apps.js';
export { type Environment, givenEnvironment, type Letter, type ServiceAddresses } from './environment.js';
export { type AppProcess, freePort, givenProcess } from './processes.js';
export { builtApps, root } from './root.js';
