import { Controller, Get, type INestApplication } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { ApiExcludeController, DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { z } from 'zod';
import { Scoped } from '#http';
import { type AnyContract, Contracts, payloadSchema } from '#jobs';
import { serveDocs } from './docs.js';
import { NextBody } from './requests.js';

/** The api, described for programs. */
@ApiExcludeController()
@Scoped('any')
@Controller('openapi.json')
export class OpenApiController {
  document: OpenAPIObject | undefined;

  @Get()
  describe(): OpenAPIObject | undefined {
    return this.document;
  }
}

/** Lets the api answer with its own description, to programs and as a page. */
export function describeApi(app: NestFastifyApplication): void {
  const document = documentApi(app, app.get(Contracts));
  app.get(OpenApiController).document = document;
  serveDocs(app, document);
}

/** Makes the OpenAPI document from the controllers and their schemas and, for payloads, from those of the contracts. */
export function documentApi(app: INestApplication, contracts: Contracts): OpenAPIObject {
  const config = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('Warren')
    .setVersion('1')
    .setDescription('Accepts background jobs. Errors are problem details (RFC 9457).')
    .addBearerAuth()
    .build();
  const document = SwaggerModule.createDocument(app, config, {
    standardSchemaConverter: (schema, { schemaType }) => describe(schema as z.ZodType, schemaType),
  });
  const schemas = {
    ...document.components?.schemas,
    ...describe(NextBody, 'input').components,
    ...Object.fromEntries(
      [...contracts].map((contract) => [contract.name, payloadSchema(contract, placeOf(contract.name))]),
    ),
  };
  document.components = { ...document.components, schemas };
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

function requestSchema({ name, version }: AnyContract): Schema {
  return {
    type: 'object',
    title: name,
    'x-version': version,
    required: ['name', 'payload'],
    properties: {
      name: { const: name },
      payload: { $ref: placeOf(name) },
      options: { $ref: placeOf('EnqueueOptions') },
    },
  };
}

const placeOf = (name: string) => `#/components/schemas/${name}`;

/** A schema as the document has it, what has an id among the components. Answers may grow: they are not closed. */
function describe(schema: z.ZodType, direction: 'input' | 'output') {
  // What goes over the wire is the input of a codec, in both directions.
  const {
    $schema: _,
    $defs,
    ...described
  } = z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ jsonSchema }) => {
      delete jsonSchema.id;
      if (jsonSchema.format) delete jsonSchema.pattern;
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      if (direction === 'output') delete jsonSchema.additionalProperties;
    },
  });
  const id = schema.meta()?.id;
  return id
    ? { schema: { $ref: placeOf(id) }, components: { [id]: described, ...$defs } }
    : { schema: described, components: $defs };
}
