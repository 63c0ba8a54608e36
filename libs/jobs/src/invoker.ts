import { Injectable, Scope, type Type } from '@nestjs/common';
import {
  EXCEPTION_FILTERS_METADATA,
  GUARDS_METADATA,
  INTERCEPTORS_METADATA,
  PIPES_METADATA,
  ROUTE_ARGS_METADATA,
} from '@nestjs/common/constants';
import { ApplicationConfig, ModuleRef } from '@nestjs/core';
import type { MessageHandler } from '@nestjs/microservices';
import { isObservable, lastValueFrom } from 'rxjs';
import type { JobContext } from './handler.js';
import { JobErrorFilter } from './job-error.filter.js';

const ENHANCERS = [GUARDS_METADATA, INTERCEPTORS_METADATA, PIPES_METADATA, EXCEPTION_FILTERS_METADATA];

/**
 * Calls handlers as Nest wraps them. Without guards, pipes and the like, Nest's way to a handler still takes a twentieth of
 * a worker's time: such a handler is called directly.
 */
@Injectable()
export class Invoker {
  constructor(
    private readonly application: ApplicationConfig,
    private readonly modules: ModuleRef,
  ) {}

  /** How to call a handler, given its class and the function that Nest made of it, once the app is initialised. */
  callOf<Job extends JobContext | readonly JobContext[]>(
    type: Type,
    wrapped: MessageHandler,
  ): (job: Job) => Promise<unknown> {
    if (!this.isBare(type)) return (job) => invoke(wrapped, job);
    const handler = this.modules.get<{ handle(job: Job): unknown }>(type, { strict: false });
    const handle = (job: Job) => handler.handle(job);
    return (job) => invoke(handle, job);
  }

  /** Whether nothing of Nest's comes between a job and the one instance of its handler. */
  private isBare(type: Type): boolean {
    const { application, modules } = this;
    const { handle } = type.prototype;
    const inPlace = ENHANCERS.some(
      (key) => Reflect.hasMetadata(key, type) || Reflect.hasMetadata(key, handle),
    );
    const everywhere = [
      ...application.getGlobalGuards(),
      ...application.getGlobalRequestGuards(),
      ...application.getGlobalPipes(),
      ...application.getGlobalRequestPipes(),
      ...application.getGlobalInterceptors(),
      ...application.getGlobalRequestInterceptors(),
      ...application.getGlobalPreRequestHooks(),
      ...application.getGlobalRequestFilters(),
      // It lets errors through as they are, which is what they do anyway.
      ...application.getGlobalFilters().filter((filter) => !(filter instanceof JobErrorFilter)),
    ];
    const hasParameters = Reflect.hasMetadata(ROUTE_ARGS_METADATA, type, 'handle');
    return (
      !inPlace &&
      everywhere.length === 0 &&
      !hasParameters &&
      modules.introspect(type).scope === Scope.DEFAULT
    );
  }
}

/** Calls a handler and waits for what it gives: a value, a promise, or, with interceptors, an observable. */
export async function invoke<Job>(handler: (job: Job, context: Job) => unknown, job: Job): Promise<unknown> {
  const result = await handler(job, job);
  return isObservable(result) ? lastValueFrom(result, { defaultValue: undefined }) : result;
}
