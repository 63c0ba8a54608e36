// Every recurring job; the workers fire them.

export { pruneRecords } from './schedules/records.prune.js';
