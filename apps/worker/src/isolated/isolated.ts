// What each thread of an isolated handler runs. Its stacks name the TypeScript, as those of main.ts do.
process.setSourceMapsEnabled(true);
const { serveIsolated } = await import('#isolation');
const { IsolatedModule } = await import('./isolated.module.js');

await serveIsolated(IsolatedModule);
