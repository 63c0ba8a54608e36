import { existsSync } from 'node:fs';
import { loadEnvFile } from 'node:process';
import { type DynamicModule, Module } from '@nestjs/common';
import { loadSettings, Settings } from './settings.js';

/** Gives every module of an app its {@link Settings}, read once when the app starts. */
@Module({})
export class SettingsModule {
  /**
   * Reads the settings from the environment and, for names that are not set there, from a file `.env` in the
   * working directory.
   *
   * @throws SettingsError when a setting cannot be used; the app then does not start.
   */
  static forRoot(): DynamicModule {
    if (existsSync('.env')) loadEnvFile('.env');
    return {
      module: SettingsModule,
      global: true,
      providers: [{ provide: Settings, useFactory: () => loadSettings() }],
      exports: [Settings],
    };
  }
}
