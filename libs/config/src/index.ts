export { type Duration, duration, formatDuration, toMilliseconds } from './duration.js';
export { describeSettings, loadSettings, maskUrl, Settings, SettingsError } from './settings.js';
export { SettingsModule } from './settings.module.js';
