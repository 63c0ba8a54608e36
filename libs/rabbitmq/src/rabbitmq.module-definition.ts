import { ConfigurableModuleBuilder } from '@nestjs/common';

/** What the connection to the broker needs to know. */
export interface RabbitMQOptions {
  /** Addresses of the broker; each is tried in turn. */
  urls: readonly string[];
  /** Bounds of the publisher; the defaults and their reasons stand in `publisher.ts`. */
  publisher?: { window?: number; confirmTimeoutMs?: number };
}

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } =
  new ConfigurableModuleBuilder<RabbitMQOptions>()
    .setClassMethodName('forRoot')
    .setExtras({}, (definition) => ({ ...definition, global: true }))
    .build();
