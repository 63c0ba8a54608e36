import {
  applyDecorators,
  type CallHandler,
  Delete,
  type ExecutionContext,
  HttpCode,
  Injectable,
  type NestInterceptor,
  Post,
  Put,
  SetMetadata,
  UseInterceptors,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyRequest } from 'fastify';
import { from, lastValueFrom, type Observable } from 'rxjs';
import type { ApiKey } from '#config';
import { Audit, type Action as Entry, type Via } from '#records';
import { Scoped } from './key-limits.js';
import { toProblem } from './problem.filter.js';

const ACTION = 'action';

/** What guards leave in a request of who sends it. */
export interface Sender {
  /** A part of the hash of an API key, from `ApiKeyGuard`. */
  client?: string;
  /** What its key may do; absent when that is everything. */
  limits?: ApiKey['limits'];
  /** Somebody who is known by another way than an API key. */
  actor?: { name: string; via: Via };
}

/** Writes an audit line for each call of a route that changes what others rely on: `@Audited('queue.pause')`. */
export const Audited = (name: string) =>
  applyDecorators(SetMetadata(ACTION, name), Scoped('operate'), UseInterceptors(AuditInterceptor));

/** An audited action: `@AuditedPost(':id/cancel', 'job.cancel')` is `POST :id/cancel`, and answers 200. */
export const AuditedPost = (path: string, name: string, status = 200) =>
  applyDecorators(Post(path), HttpCode(status), Audited(name));

/** The same for `PUT` and `DELETE` of one thing. */
export const AuditedPut = (path: string, name: string) => applyDecorators(Put(path), Audited(name));
export const AuditedDelete = (path: string, name: string) =>
  applyDecorators(Delete(path), HttpCode(204), Audited(name));

@Injectable()
class AuditInterceptor implements NestInterceptor {
  constructor(
    private readonly audit: Audit,
    private readonly reflector: Reflector,
  ) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return from(this.audited(entryOf(context, this.reflector) as Entry, next));
  }

  private async audited(entry: Entry, next: CallHandler): Promise<unknown> {
    let refusal: { error: unknown } | undefined;
    const answer = await this.audit.record<unknown>(entry, async () => {
      try {
        return await lastValueFrom(next.handle());
      } catch (error) {
        // What was refused changed nothing; after any other error nobody knows.
        if (toProblem(error).status >= 500) throw error;
        refusal = { error };
        return { count: 0 };
      }
    });
    if (refusal) throw refusal.error;
    return answer;
  }
}

/** Who is about to do what to what, as its audit line will say it; undefined where a route is no {@link Audited}. */
export function entryOf(context: ExecutionContext, reflector: Reflector): Entry | undefined {
  const action = reflector.get<string | undefined>(ACTION, context.getHandler());
  if (!action) return undefined;
  const request = context.switchToHttp().getRequest<FastifyRequest & Sender>();
  const { name: actor, via } = request.actor ?? { name: actorOf(request), via: 'http' as const };
  return { actor, via, action, subject: subjectOf(request) };
}

/** Tells keys apart without giving them away. */
const actorOf = ({ client, limits }: Sender) =>
  client ? `key:${limits?.name ?? client.slice(0, 8)}` : 'anonymous';

/** The id or name in the path, or the filter in the body. */
function subjectOf({ params, body }: FastifyRequest): string {
  const [named] = Object.values((params ?? {}) as Record<string, string>);
  // A payload may have secrets in it.
  const { csrf: _, payload, patch, ...filter } = (body ?? {}) as Record<string, unknown>;
  const edited = (payload ?? patch) !== undefined && { edited: true };
  return named ?? JSON.stringify({ ...filter, ...edited });
}
