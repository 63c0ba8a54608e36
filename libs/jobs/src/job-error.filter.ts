import { type ArgumentsHost, Catch, Module } from '@nestjs/common';
import { ApplicationConfig, BaseExceptionFilter } from '@nestjs/core';
import { type Observable, throwError } from 'rxjs';

/**
 * Lets what a handler throws reach the worker as it is. Nest's default filter would turn every error into a plain
 * object without class or stack, and with them would go `NonRetryableError` and `RetryAfterError`.
 */
@Catch()
export class JobErrorFilter extends BaseExceptionFilter {
  override catch(error: unknown, host: ArgumentsHost): Observable<never> | undefined {
    if (host.getType() === 'rpc') return throwError(() => error);
    super.catch(error, host);
    return undefined;
  }
}

/** Gives an app the {@link JobErrorFilter}, behind all filters that its modules provide. */
@Module({ providers: [JobErrorFilter] })
export class JobErrorModule {
  /** Nest asks the filter that was added first last, and adds those of `APP_FILTER` when all modules are made. */
  constructor(config: ApplicationConfig, filter: JobErrorFilter) {
    config.addGlobalFilter(filter);
  }
}
