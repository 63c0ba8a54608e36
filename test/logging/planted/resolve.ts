import type { ResolveHook } from 'node:module';

const planted = new Map([
  ['#contracts', './contracts.js'],
  ['#contracts/schedules', './schedules.js'],
  ['./handlers/index.js', './handlers.js'],
]);

export const resolve: ResolveHook = (specifier, context, next) => {
  const ours = planted.get(specifier);
  return next(ours ? new URL(ours, import.meta.url).href : specifier, context);
};
