import { ConfigurableModuleBuilder } from '@nestjs/common';

/** What the connection to the database needs to know. */
export interface RecordsOptions {
  /** Address of the database: `postgresql://user:password@host:port/name`. */
  url: string;
  /** Connections that this process may open. */
  poolSize: number;
}

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } =
  new ConfigurableModuleBuilder<RecordsOptions>()
    .setClassMethodName('forRoot')
    .setExtras({}, (definition) => ({ ...definition, global: true }))
    .build();
