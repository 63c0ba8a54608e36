import { Module } from '@nestjs/common';
import { Admission, RelayModule } from '#jobs';
import { ConcurrencyLimiter } from './concurrency-limiter.js';
import { Limits } from './limits.js';
import { LimitsKeeper } from './limits-keeper.js';
import { RateLimiter } from './rate-limiter.js';

/** Keeps the limits that handlers ask for, across all workers: `@JobHandler(Contract, { rateLimit, concurrency })`. */
@Module({
  imports: [RelayModule],
  providers: [RateLimiter, ConcurrencyLimiter, LimitsKeeper, { provide: Admission, useClass: Limits }],
  exports: [Admission],
})
export class LimitsModule {}
