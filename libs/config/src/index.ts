export { type Duration, duration, formatDuration, toMilliseconds } from '#define-job';
export { counted, grouped } from './counted.js';
export {
  describeSettings,
  loadSettings,
  maskUrl,
  type SettingDescription,
  Settings,
  SettingsError,
} from './settings.js';
export { SettingsModule } from './settings.module.js';
