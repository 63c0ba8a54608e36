import { createHash, timingSafeEqual } from 'node:crypto';
import { type CanActivate, createParamDecorator, type ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyRequest } from 'fastify';
import { Settings } from '#config';
import { PUBLIC } from '#health';
import { isForLocalName } from './local-name.js';
import { ProblemException } from './problem.filter.js';

/**
 * Lets in requests that carry one of `API_KEYS` as `Authorization: Bearer …`. When there are none, everybody on this
 * machine, but no web page.
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
    if (this.reflector.getAllAndOverride<boolean>(PUBLIC, [context.getHandler(), context.getClass()]))
      return true;
    const request = context.switchToHttp().getRequest<FastifyRequest & { client?: string }>();
    if (this.keys.length === 0) {
      if (isForLocalName(request)) return true;
      throw new ProblemException(403, 'foreign-host', 'Without API_KEYS the api answers to localhost only');
    }
    const [, given] = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '') ?? [];
    if (given && this.knows(given)) {
      request.client = digest(given).toString('base64url');
      return true;
    }
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
