// What each thread of an isolated handler runs.
import { serveIsolated } from '#isolation';
import { IsolatedModule } from './isolated.module.js';

await serveIsolated(IsolatedModule);
