import type { ResolveHook } from 'node:module';

/** Runs in Node's loader thread: says which file an import means. */
export const resolve: ResolveHook = (specifier, context, next) => {
  const ours = (file: string) => ({ url: new URL(file, import.meta.url).href, shortCircuit: true });
  if (specifier === '#contracts') return ours('./contracts.js');
  if (specifier === './handlers/index.js') return ours('./handlers.js');
  return next(specifier, context);
};
