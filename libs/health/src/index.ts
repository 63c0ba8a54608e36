export { HealthModule, type HealthOptions, type ReadinessCheck } from './health.module.js';
export { PUBLIC, Public } from './public.js';
