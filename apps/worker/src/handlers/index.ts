export { DeliverWebhookHandler } from './deliver-webhook.handler.js';
export { DemoFlakyHandler } from './demo-flaky.handler.js';
export { GenerateReportHandler } from './generate-report.handler.js';
export { PruneRecordsHandler } from './prune-records.handler.js';
export { ResizeImageHandler } from './resize-image.handler.js';
export { SendEmailHandler } from './send-email.handler.js';
