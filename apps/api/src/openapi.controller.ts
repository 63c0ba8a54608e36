import { Controller, Get, type INestApplication } from '@nestjs/common';
import { ApiExcludeController, DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { type AnyContract, Contracts, payloadSchema } from '#jobs';
import { jobStates, priorities } from '#records';

/** The api, described for programs. */
@ApiExcludeController()
@Controller('openapi.json')
export class OpenApiController {
  document: OpenAPIObject | undefined;

  @Get()
  describe(): OpenAPIObject | undefined {
    return this.document;
  }
}

/** Lets the api answer with its own description. */
export function describeApi(app: INestApplication): void {
  app.get(OpenApiController).document = documentApi(app, app.get(Contracts));
}

/** Makes the OpenAPI document from the controllers and, for payloads, from the contracts' schemas. */
export function documentApi(app: INestApplication, contracts: Contracts): OpenAPIObject {
  const config = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('Warren')
    .setVersion('1')
    .setDescription('Accepts background jobs. Errors are problem details (RFC 9457).')
    .addBearerAuth()
    .build();
  const document = SwaggerModule.createDocument(app, config);
  document.components = {
    ...document.components,
    schemas: {
      ...document.components?.schemas,
      ...jobSchemas,
      ...Object.fromEntries(
        [...contracts].map((contract) => [contract.name, payloadSchema(contract, placeOf(contract.name))]),
      ),
    },
  };
  const enqueue = document.paths['/jobs']?.post;
  if (enqueue) {
    enqueue.requestBody = {
      required: true,
      content: { 'application/json': { schema: { oneOf: [...contracts].map(requestSchema) } } },
    };
  }
  return document;
}

type Schema = Record<string, unknown>;

function requestSchema({ name }: AnyContract): Schema {
  return {
    type: 'object',
    title: name,
    required: ['name', 'payload'],
    properties: {
      name: { const: name },
      payload: { $ref: placeOf(name) },
      options: { $ref: '#/components/schemas/EnqueueOptions' },
    },
  };
}

/** Where a contract's payload is described. */
const placeOf = (name: string) => `#/components/schemas/${name}`;

const time: Schema = { type: 'string', format: 'date-time' };
const orNull = (schema: Schema): Schema => ({ anyOf: [schema, { type: 'null' }] });
const cause = {
  message: { type: 'string' },
  class: { type: 'string' },
  code: { type: 'string', examples: ['ECONNREFUSED'] },
};
const error = orNull({
  type: 'object',
  properties: {
    ...cause,
    stack: orNull({ type: 'string' }),
    causes: {
      type: 'array',
      description: 'What caused it, and the errors of an aggregate; the last one lies deepest',
      items: { type: 'object', properties: cause },
    },
  },
});

const jobSchemas: Record<string, Schema> = {
  EnqueueOptions: {
    type: 'object',
    properties: {
      delay: {
        oneOf: [
          { type: 'integer', description: 'milliseconds' },
          { type: 'string', examples: ['10m'] },
        ],
      },
      runAt: time,
      queue: { type: 'string' },
      priority: { enum: priorities, description: 'Where the queue has priorities' },
      unique: {
        type: 'object',
        required: ['key'],
        properties: { key: { type: 'string' }, for: { type: 'string', examples: ['1h'] } },
      },
      next: { $ref: '#/components/schemas/NextJob' },
    },
  },
  NextJob: {
    type: 'object',
    required: ['name', 'payload'],
    properties: {
      name: { type: 'string' },
      payload: {},
      options: {
        type: 'object',
        properties: {
          delay: { type: 'string', examples: ['10m'] },
          queue: { type: 'string' },
          next: { $ref: '#/components/schemas/NextJob' },
        },
      },
    },
  },
  Job: {
    type: 'object',
    properties: {
      id: { type: 'string', format: 'uuid' },
      name: { type: 'string' },
      queue: { type: 'string' },
      priority: { enum: priorities },
      state: { type: 'string', enum: jobStates },
      progress: orNull({ type: 'number', minimum: 0, maximum: 1 }),
      progressNote: orNull({ type: 'string' }),
      attempt: { type: 'integer' },
      maxAttempts: { type: 'integer' },
      payload: {},
      result: {},
      error,
      attempts: {
        type: 'array',
        items: {
          type: 'object',
          properties: {
            attempt: { type: 'integer' },
            outcome: { enum: ['running', 'succeeded', 'failed', 'crashed', 'cancelled'] },
            worker: orNull({ type: 'string' }),
            startedAt: orNull(time),
            finishedAt: orNull(time),
            error,
          },
        },
      },
      createdAt: time,
      runAt: time,
      startedAt: orNull(time),
      finishedAt: orNull(time),
      cancelRequestedAt: orNull(time),
      batch: orNull({ type: 'string', format: 'uuid' }),
      previous: orNull({
        type: 'object',
        properties: { id: { type: 'string', format: 'uuid' }, name: { type: 'string' }, result: {} },
      }),
      next: orNull({ type: 'string', format: 'uuid' }),
      traceId: orNull({ type: 'string', description: 'The trace that it was enqueued in' }),
    },
  },
  Queue: {
    type: 'object',
    properties: {
      queue: { type: 'string' },
      scheduled: { type: 'integer' },
      queued: { type: 'integer' },
      ready: { type: 'integer', description: 'The same as `queued`' },
      running: { type: 'integer' },
      retrying: { type: 'integer' },
      dead: { type: 'integer' },
      oldestWaiting: orNull(time),
      paused: { type: 'boolean' },
      consumers: orNull({ type: 'integer' }),
    },
  },
  Worker: {
    type: 'object',
    properties: {
      id: { type: 'integer' },
      name: { type: 'string', description: 'Host and process id' },
      startedAt: time,
      lastSeen: time,
      queues: { type: 'array', items: { type: 'string' } },
      eventLoopLagMs: {
        type: 'number',
        description: 'How long its event loop was held up at most, in the last 5 s',
      },
      rssBytes: { type: 'integer' },
      running: { type: 'integer' },
      jobs: {
        type: 'array',
        maxItems: 100,
        items: {
          type: 'object',
          properties: {
            id: { type: 'string', format: 'uuid' },
            name: { type: 'string' },
            queue: { type: 'string' },
            attempt: { type: 'integer' },
            startedAt: time,
          },
        },
      },
    },
  },
  DeadGroup: {
    type: 'object',
    properties: {
      queue: { type: 'string' },
      name: { type: 'string' },
      errorForm: {
        type: 'string',
        description: 'The message and its deepest cause, with `#` for each number and UUID in it',
      },
      count: { type: 'integer' },
      oldest: time,
      newest: time,
      example: { type: 'string', format: 'uuid' },
    },
  },
  Message: {
    type: 'object',
    description: 'What was received, of a message that no job could be made of; secrets are redacted',
    properties: {
      properties: { type: 'object' },
      headers: { type: 'object' },
      size: { type: 'integer', description: 'Bytes of the whole body' },
      body: { type: 'string', description: 'The first 4 KiB' },
      encoding: { enum: ['utf8', 'hex'] },
    },
  },
};
