import { Global, Module } from '@nestjs/common';
import { Admission } from '#jobs';
import { ConcurrencyLimiter } from './concurrency-limiter.js';
import { Limits } from './limits.js';
import { LimitsKeeper } from './limits-keeper.js';
import { RateLimiter } from './rate-limiter.js';

/**
 * Keeps the limits that handlers ask for, across all workers: `@JobHandler(Contract, { rateLimit, concurrency })`.
 * A worker imports it beside `JobsModule` and `RecordsModule`; without it no job waits for a limit.
 */
@Global()
@Module({
  providers: [RateLimiter, ConcurrencyLimiter, LimitsKeeper, { provide: Admission, useClass: Limits }],
  exports: [Admission],
})
export class LimitsModule {}
