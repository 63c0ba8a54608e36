import { serveIsolated } from '#isolation';
import { IsolatedTestModule } from './handlers.js';

await serveIsolated(IsolatedTestModule);
