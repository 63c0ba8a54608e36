export {
  AttemptView,
  Count,
  DeadGroup,
  Done,
  Id,
  JobError,
  JobView,
  MessageView,
  Previous,
  QueueView,
  Time,
  WorkerView,
} from './resources.js';
