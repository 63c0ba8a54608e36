import { type ArgumentsHost, Catch } from '@nestjs/common';
import { BaseExceptionFilter } from '@nestjs/core';
import { type Observable, throwError } from 'rxjs';

/**
 * Lets what a handler throws reach the worker as it is. Nest's default filter would turn every error into a plain
 * object without class or stack, and with them would go `NonRetryableError` and `RetryAfterError`.
 *
 * List it as the first `APP_FILTER` of the worker's module: filters of your own then come before it.
 */
@Catch()
export class JobErrorFilter extends BaseExceptionFilter {
  override catch(error: unknown, host: ArgumentsHost): Observable<never> | undefined {
    if (host.getType() === 'rpc') return throwError(() => error);
    super.catch(error, host);
    return undefined;
  }
}
