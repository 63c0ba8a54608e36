import { createHash, timingSafeEqual } from 'node:crypto';
import {
  type CanActivate,
  createParamDecorator,
  type ExecutionContext,
  Injectable,
  Logger,
} from '@nestjs/common';
import { ModuleRef, Reflector } from '@nestjs/core';
import type { FastifyRequest } from 'fastify';
import { type ApiKey, Settings } from '#config';
import { PUBLIC } from '#health';
import type { Sender } from './audited.js';
import { isDocs, passwordOf } from './docs-key.js';
import { checkContracts, checkRoute } from './key-limits.js';
import { isAction, isForLocalName, isFromHere } from './origin.js';
import { ProblemException } from './problem.filter.js';

/**
 * Lets in requests with one of `API_KEYS` as `Authorization: Bearer …`; without keys everybody on this machine, but no page
 * of another site. `HttpModule` asks before a body is read; the guard asks again, for routes that came some other way.
 */
@Injectable()
export class ApiKeyGuard implements CanActivate {
  private readonly keys: { hash: Buffer; limits: ApiKey['limits'] }[];

  constructor(
    settings: Settings,
    private readonly reflector: Reflector,
    private readonly modules: ModuleRef,
  ) {
    this.keys = settings.API_KEYS.map(({ key, limits }) => ({ hash: digest(key), limits }));
    const logger = new Logger('ApiKeys');
    for (const { limits } of this.keys)
      if (limits) logger.log({ msg: `API key ${limits.name} has limits`, ...limits, name: undefined });
  }

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const isPublic = this.reflector.getAllAndOverride<boolean>(PUBLIC, [
      context.getHandler(),
      context.getClass(),
    ]);
    if (isPublic) return true;
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    this.admit(request);
    await checkContracts(request, this.modules);
    return true;
  }

  /** Notes in a request who sends it. @throws ProblemException when it may not come in, or not by such a route. */
  admit(request: FastifyRequest & Sender): void {
    if (request.client !== undefined) return;
    request.client = this.keys.length === 0 ? this.neighbour(request) : this.holder(request);
    checkRoute(request);
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

  private holder(request: FastifyRequest & Sender): string {
    const { authorization = '' } = request.headers;
    const [, given = isDocs(request) ? passwordOf(authorization) : undefined] =
      /^Bearer +(\S+) *$/i.exec(authorization) ?? [];
    const hash = digest(given ?? '');
    // In time that tells nothing about the keys: digests have one length, and every key is compared.
    const [key] = this.keys.filter((key) => timingSafeEqual(key.hash, hash));
    if (given && key) {
      request.limits = key.limits;
      return hash.toString('base64url');
    }
    throw new ProblemException(401, 'unauthorized', 'Send one of the API keys as Authorization: Bearer KEY');
  }
}

/** Tells clients apart without naming their key: `@Client() client: string`. Empty when no keys are asked for. */
export const Client = createParamDecorator(
  (_: unknown, context: ExecutionContext): string =>
    context.switchToHttp().getRequest<{ client?: string }>().client ?? '',
);

const digest = (key: string) => createHash('sha256').update(key).digest();
