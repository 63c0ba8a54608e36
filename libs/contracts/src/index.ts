export { DemoFlaky } from './demo.flaky.js';
export { SendEmail } from './email.send.js';
export { ResizeImage } from './image.resize.js';
export { SendNotification } from './notification.send.js';
export { PruneRecords } from './records.prune.js';
export { GenerateReport } from './report.generate.js';
export { DeliverWebhook } from './webhook.deliver.js';
