import { type ArgumentsHost, Catch, Module } from '@nestjs/common';
import { ApplicationConfig, BaseExceptionFilter } from '@nestjs/core';
import { type Observable, throwError } from 'rxjs';

/** Lets what a handler throws reach the worker as it is: Nest's default filter drops the class and stack of every error. */
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
