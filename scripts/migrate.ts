import { loadSettings } from '#config';
import { migrate } from './migration.js';

/** `npm run migrate`: a deploy runs it before it starts the apps. */
try {
  await migrate(loadSettings(), (line) => console.log(line));
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
