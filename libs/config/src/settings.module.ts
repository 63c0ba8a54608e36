import { type DynamicModule, Module } from '@nestjs/common';
import { loadSettings, Settings } from './settings.js';

/** Gives every module of an app its {@link Settings}, read once when the app starts. */
@Module({})
export class SettingsModule {
  /** @throws SettingsError when a setting cannot be used; the app then does not start. */
  static forRoot(): DynamicModule {
    return {
      module: SettingsModule,
      global: true,
      providers: [{ provide: Settings, useFactory: () => loadSettings() }],
      exports: [Settings],
    };
  }
}
