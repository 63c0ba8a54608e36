// The entry point as `npm run build` lays it out: dist/apps/api/main.js.
// Stacks name the TypeScript. Node notes a map while it loads a module, so this comes before all others.
process.setSourceMapsEnabled(true);
await import('./src/main.js');
