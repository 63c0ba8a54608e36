import { type DynamicModule, Module } from '@nestjs/common';
import { SendNotificationHandler } from './send-notification.handler.js';
import { Watch } from './watch.js';
import { WatchStore } from './watch-store.js';
import { Webhooks } from './webhooks.js';

/**
 * Tells `NOTIFY_WEBHOOKS` of trouble. Every api imports `NotificationsModule`, every worker `NotificationsModule.forWorker()`,
 * which also sends; one of them all looks. Nothing is done while the setting is empty.
 */
@Module({ providers: [Webhooks, Watch, WatchStore] })
export class NotificationsModule {
  static forWorker(): DynamicModule {
    return { module: NotificationsModule, controllers: [SendNotificationHandler] };
  }
}
