import {
  HttpException,
  Module,
  type NestModule,
  NotFoundException,
  PayloadTooLargeException,
} from '@nestjs/common';
import {
  APP_FILTER,
  APP_GUARD,
  APP_PIPE,
  HttpAdapterHost,
  MetadataScanner,
  ModulesContainer,
  Reflector,
} from '@nestjs/core';
import { FASTIFY_ROUTE_CONFIG_METADATA } from '@nestjs/platform-fastify/constants.js';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Settings } from '#config';
import { PUBLIC } from '#health';
import { isStorable, UNSTORABLE } from '#records';
import { ApiKeyGuard } from './api-key.guard.js';
import { boundBodies } from './bodies.js';
import { Connections } from './connections.js';
import { observeRequests } from './observe-requests.js';
import { hasBody, ProblemException, ProblemFilter, TOO_LARGE } from './problem.filter.js';
import { SchemaPipe } from './schema.pipe.js';

/** Who comes into the api, with how much, and for how long. It prepares any Fastify, before Nest makes routes on it. */
@Module({
  providers: [
    Connections,
    ApiKeyGuard,
    { provide: APP_GUARD, useExisting: ApiKeyGuard },
    { provide: APP_FILTER, useClass: ProblemFilter },
    { provide: APP_PIPE, useClass: SchemaPipe },
  ],
  exports: [Connections],
})
export class HttpModule implements NestModule {
  constructor(
    private readonly http: HttpAdapterHost,
    private readonly modules: ModulesContainer,
    private readonly reflector: Reflector,
    private readonly settings: Settings,
    private readonly keys: ApiKeyGuard,
    private readonly connections: Connections,
  ) {}

  configure(): void {
    const fastify: FastifyInstance = this.http.httpAdapter.getInstance();
    this.markRoutes();
    this.connections.attend(fastify);
    observeRequests(fastify);
    fastify.addHook('onRequest', (request, _, done) => {
      try {
        this.admit(request);
        done();
      } catch (error) {
        done(error as Error);
      }
    });
    fastify.addHook('preParsing', ({ headers, raw }, reply, payload, done) => {
      // Only now that it is wanted the client may send its body.
      if (headers.expect && raw.httpVersion === '1.1') reply.raw.writeContinue();
      done(null, payload);
    });
    boundBodies(fastify, this.settings.MAX_PAYLOAD);
  }

  /** Tells Fastify who may call a route: it has to know before it reads a body, and so before Nest's guards. */
  private markRoutes(): void {
    const methods = new MetadataScanner();
    const controllers = [...this.modules.values()].flatMap((module) => [...module.controllers.values()]);
    for (const { metatype } of controllers) {
      if (!metatype) continue;
      for (const name of methods.getAllMethodNames(metatype.prototype)) {
        const handler = metatype.prototype[name];
        const said = (what: string) =>
          this.reflector.getAllAndOverride(what, [handler, metatype as () => void]);
        const access = { isPublic: said(PUBLIC), scope: said('scope'), contracts: said('contracts') };
        const config = Reflect.getMetadata(FASTIFY_ROUTE_CONFIG_METADATA, handler);
        Reflect.defineMetadata(FASTIFY_ROUTE_CONFIG_METADATA, { ...config, ...access }, handler);
      }
    }
  }

  /** Decides by the head of a request whether its body is read. @throws ProblemException when it is not. */
  private admit(request: FastifyRequest): void {
    const { headers, raw, routeOptions } = request;
    if (this.connections.isClosing)
      throw new ProblemException(503, 'not-now', 'This api is stopping. Try again: another one answers.');
    if (headers.host === undefined && raw.httpVersion === '1.1')
      throw new HttpException('The request has no header Host', 400);
    if (headers.expect && headers.expect.toLowerCase() !== '100-continue')
      throw new HttpException('Expect may be 100-continue only', 417);
    // Nobody wants its body.
    if (request.is404) throw new NotFoundException(`Cannot ${request.method} ${request.url}`);
    if (!(routeOptions.config as { isPublic?: boolean }).isPublic) {
      this.keys.admit(request);
      this.connections.welcome(request);
    }
    // What a path names is looked for in the database, by whatever route.
    for (const [name, value] of Object.entries(request.params ?? {}))
      if (!isStorable(String(value)))
        throw new ProblemException(400, 'bad-path', `The ${name} in the path ${UNSTORABLE}`);
    if (hasBody(request) && Number(headers['content-length']) > (routeOptions.bodyLimit ?? 0))
      throw new PayloadTooLargeException(TOO_LARGE);
  }
}
