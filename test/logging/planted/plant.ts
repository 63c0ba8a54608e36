// Loaded before an app, and before each of its threads: from then on its contracts, schedules and handlers are those
// that lie here.
import { register } from 'node:module';

register('./resolve.js', import.meta.url);
