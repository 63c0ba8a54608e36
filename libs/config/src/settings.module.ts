import { type DynamicModule, Module } from '@nestjs/common';
import { loadSettings, Settings } from './settings.js';

/** Gives every module of an app its {@link Settings}, read once when the app starts. Global: any class may inject them. */
@Module({})
export class SettingsModule {
  /**
   * @param load where they come from: the environment when absent.
   * @throws SettingsError when a setting cannot be used; the app then does not start.
   */
  static forRoot(load: () => Settings = () => loadSettings()): DynamicModule {
    return {
      module: SettingsModule,
      global: true,
      providers: [{ provide: Settings, useFactory: load }],
      exports: [Settings],
    };
  }
}
