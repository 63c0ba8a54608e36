import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  BadRequestException,
  Body,
  ConflictException,
  Controller,
  Get,
  HttpException,
  type INestApplication,
  Module,
  Post,
  StandardSchemaValidationPipe,
} from '@nestjs/common';
import { ModulesContainer, NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { z } from 'zod';
import * as contracts from '#contracts';
import { Database } from '#records';
import { type Environment, givenEnvironment } from '#testing/services';
import { ApiModule } from '../../../apps/api/src/api.module.js';

const Order = z.object({ customer: z.object({ id: z.number() }) });

/** Tells all that it found in a list, as Nest's own pipes do. */
class ListingPipe extends StandardSchemaValidationPipe {
  override transform<T>(value: T): Promise<T> {
    return super.transform(value, { type: 'body', schema: Order });
  }
}

/** What a cloner might write. */
@Controller('own')
class OwnController {
  constructor(private readonly database: Database) {}

  @Post('parsed')
  parse(@Body() body: unknown) {
    return Order.parse(body);
  }
  @Post('described')
  describe(@Body({ schema: Order }) body: z.output<typeof Order>) {
    return body;
  }
  @Post('piped')
  pipe(@Body(new ListingPipe()) body: unknown) {
    return body;
  }
  @Get('misspelt')
  misspelt() {
    return this.database.query({ text: 'select total from invoces', values: [] });
  }
  @Get('broken')
  broken() {
    throw new Error('the password is hunter2');
  }
  @Get('bad')
  bad() {
    throw new BadRequestException('no such colour');
  }
  @Get('custom')
  custom() {
    throw new ConflictException({ message: 'taken', takenBy: 'bob' });
  }
  @Get('teapot')
  teapot() {
    throw new HttpException('short and stout', 418);
  }
}
@Module({ imports: [ApiModule], controllers: [OwnController] })
class OwnModule {}

let environment: Environment;
const before = { ...process.env };
beforeAll(async () => {
  environment = await givenEnvironment(Object.values(contracts));
  Object.assign(process.env, {
    DATABASE_URL: environment.databaseUrl,
    RABBITMQ_URL: environment.rabbitmqUrl,
    API_KEYS: '',
    DASHBOARD_USERS: '',
  });
});
afterAll(async () => {
  process.env = before;
  await environment?.close();
});

describe.each<[string, () => Promise<INestApplication>]>([
  ['NestFactory.create', () => NestFactory.create(OwnModule, new FastifyAdapter(), { logger: false })],
  [
    'Test.createTestingModule',
    async () =>
      (await Test.createTestingModule({ imports: [OwnModule] }).compile()).createNestApplication(
        new FastifyAdapter(),
        { logger: false },
      ),
  ],
])('the api made by %s, as Nest documents it', (_, make) => {
  let app: INestApplication;
  let url: string;
  beforeAll(async () => {
    app = await make();
    await app.listen(0, '127.0.0.1');
    url = await app.getUrl();
  });
  afterAll(() => app?.close());

  const call = async (method: string, path: string, body?: object, headers: Record<string, string> = {}) => {
    const answer = await fetch(`${url}${path}`, {
      method,
      headers: { ...(body && { 'content-type': 'application/json' }), ...headers },
      body: body && JSON.stringify(body),
    });
    const isProblem = answer.headers.get('content-type')?.startsWith('application/problem+json');
    return { status: answer.status, isProblem, body: JSON.parse(await answer.text()) };
  };

  test('reads bodies, and refuses what the deployed api refuses', async () => {
    expect(await call('POST', '/jobs', { name: 'unknown', payload: {} })).toMatchObject({
      status: 404,
      isProblem: true,
      body: { type: 'urn:warren:problem:unknown-contract' },
    });
    expect(await call('POST', '/jobs', { text: 'x'.repeat(1_100_000) })).toMatchObject({
      status: 413,
      isProblem: true,
    });
    expect(await call('POST', '/queues/sample-mail/pause', undefined, { origin: 'null' })).toMatchObject({
      status: 403,
      isProblem: true,
    });
  });

  test.each<[string, string, object | undefined, number, object]>([
    [
      'a ZodError',
      '/own/parsed',
      { customer: {} },
      422,
      { type: 'urn:warren:problem:request-does-not-fit', errors: [{ pointer: '/customer/id' }] },
    ],
    [
      'what does not fit the schema',
      '/own/described',
      { customer: {} },
      422,
      { type: 'urn:warren:problem:request-does-not-fit', errors: [{ pointer: '/customer/id' }] },
    ],
    [
      'what a pipe of Nest found',
      '/own/piped',
      { customer: {} },
      400,
      { errors: [{ detail: expect.stringContaining('customer.id') }] },
    ],
    ['a refusal', '/own/bad', undefined, 400, { detail: 'no such colour' }],
    ['a refusal with more to say', '/own/custom', undefined, 409, { detail: 'taken', takenBy: 'bob' }],
    ['an HttpException', '/own/teapot', undefined, 418, { detail: 'short and stout' }],
    [
      'an error of its own SQL, which is no outage,',
      '/own/misspelt',
      undefined,
      500,
      { detail: expect.not.stringContaining('Try again later') },
    ],
    ['an Error', '/own/broken', undefined, 500, { detail: expect.not.stringContaining('hunter2') }],
  ])('answers %s of an own controller with problem details', async (_, path, body, status, problem) => {
    const answer = await call(body ? 'POST' : 'GET', path, body);
    expect(answer).toMatchObject({ status, isProblem: true, body: { status, ...problem } });
  });

  test('provides nothing twice: there is one watcher of jobs, with one limit', () => {
    const places = new Map<unknown, number>();
    for (const { providers, metatype } of app.get(ModulesContainer).values()) {
      for (const { token, isNotMetatype, metatype: made } of providers.values()) {
        const isOfNest = isNotMetatype || made === metatype || isInjectedEverywhere(made);
        if (!isOfNest) places.set(token, (places.get(token) ?? 0) + 1);
      }
    }
    expect(
      [...places]
        .filter(([, count]) => count > 1)
        .map(([token]) => (token as { name?: string }).name ?? String(token)),
    ).toEqual([]);
    expect(places.size).toBeGreaterThan(20);
  });
});

test('an app that is closed as soon as it runs does not end the process of its test', async () => {
  const app = await NestFactory.create(OwnModule, new FastifyAdapter(), { logger: false });
  await app.init();
  await app.close();
});

/** Nest itself puts these into every module. */
const isInjectedEverywhere = (made: unknown) =>
  ['ModuleRef', 'ApplicationConfig'].includes((made as { name?: string } | null)?.name ?? '');
