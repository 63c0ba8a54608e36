import type { MessageHandler } from '@nestjs/microservices';
import { isObservable, lastValueFrom } from 'rxjs';
import type { JobContext } from './handler.js';

/** Calls a handler as Nest wraps it, which gives a value, a promise, or, with interceptors, an observable. */
export async function invoke(handler: MessageHandler, job: JobContext): Promise<unknown> {
  const result = await handler(job, job);
  return isObservable(result) ? lastValueFrom(result, { defaultValue: undefined }) : result;
}
