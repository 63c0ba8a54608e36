import { createHash, timingSafeEqual } from 'node:crypto';
import { type CanActivate, createParamDecorator, type ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyRequest } from 'fastify';
import { Settings } from '#config';
import { PUBLIC } from '#health';
import type { Sender } from './audited.js';
import { isDocs, passwordOf } from './docs-key.js';
import { isAction, isForLocalName, isFromHere } from './origin.js';
import { ProblemException } from './problem.filter.js';

/**
 * Lets in requests with one of `API_KEYS` as `Authorization: Bearer …`; without keys everybody on this machine, but no page
 * of another site. `HttpModule` asks before a body is read; the guard asks again, for routes that came some other way.
 */
@Injectable()
export class ApiKeyGuard implements CanActivate {
  private readonly keys: Buffer[];

  constructor(
    settings: Settings,
    private readonly reflector: Reflector,
  ) {
    this.keys = settings.API_KEYS.map(digest);
  }

  canActivate(context: ExecutionContext): boolean {
    const isPublic = this.reflector.getAllAndOverride<boolean>(PUBLIC, [
      context.getHandler(),
      context.getClass(),
    ]);
    if (!isPublic) this.identify(context.switchToHttp().getRequest<FastifyRequest>());
    return true;
  }

  /** Notes in a request who sends it. @throws ProblemException when it may not come in. */
  identify(request: FastifyRequest & Sender): void {
    if (request.client !== undefined) return;
    request.client = this.keys.length === 0 ? this.neighbour(request) : this.holder(request);
  }

  private neighbour(request: FastifyRequest): string {
    if (!isForLocalName(request))
      throw new ProblemException(403, 'foreign-host', 'Without API_KEYS the api answers to localhost only');
    if (isAction(request) && !isFromHere(request))
      throw new ProblemException(
        403,
        'foreign-site',
        'Without API_KEYS the api does nothing that a page of another site asks for',
      );
    return '';
  }

  private holder(request: FastifyRequest): string {
    const { authorization = '' } = request.headers;
    const [, given = isDocs(request) ? passwordOf(authorization) : undefined] =
      /^Bearer +(\S+) *$/i.exec(authorization) ?? [];
    if (given && this.knows(given)) return digest(given).toString('base64url');
    throw new ProblemException(401, 'unauthorized', 'Send one of the API keys as Authorization: Bearer KEY');
  }

  /** In time that tells nothing about the keys: digests have one length, and every key is compared. */
  private knows(given: string): boolean {
    const hash = digest(given);
    return this.keys.map((key) => timingSafeEqual(key, hash)).includes(true);
  }
}

/** Tells clients apart without naming their key: `@Client() client: string`. Empty when no keys are asked for. */
export const Client = createParamDecorator(
  (_: unknown, context: ExecutionContext): string =>
    context.switchToHttp().getRequest<{ client?: string }>().client ?? '',
);

const digest = (key: string) => createHash('sha256').update(key).digest();
