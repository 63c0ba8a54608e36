export { Client } from './api-key.guard.js';
export { Audited, AuditedDelete, AuditedPost, AuditedPut, entryOf, type Sender } from './audited.js';
export type { Intake } from './bodies.js';
export { Connections } from './connections.js';
export { isDocs } from './docs-key.js';
export { announceEvents, EventStream, KEEP_ALIVE_MS } from './event-stream.js';
export { text } from './fields.js';
export { HttpModule } from './http.module.js';
export { listenAddress, makeHttpAdapter } from './http-adapter.js';
export {
  type ContractsOf,
  jobInPath,
  May,
  named,
  OfContracts,
  type RouteAccess,
  Scoped,
  scopeMissing,
  scopeOf,
} from './key-limits.js';
export { isAction, isForLocalName, isFromHere } from './origin.js';
export { hasBody, MISFIT, ProblemException, toProblem } from './problem.filter.js';
