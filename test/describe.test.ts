import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv } from 'ajv';
import { z } from 'zod';
import { Contracts, defineJob, secret } from '#jobs';
import { describeMessages } from '../scripts/asyncapi.js';

const require = createRequire(import.meta.url);
const root = join(import.meta.dirname, '..');

describe('the descriptions for other programs', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'descriptions-'));
    // As it is built: the types of the controllers' parameters are not the same as Jest compiles them.
    await promisify(execFile)(process.execPath, ['dist/scripts/describe.js', folder], { cwd: root });
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  const written = (path: string) => readFile(join(folder, path), 'utf8');

  test.each(['docs/asyncapi.json', 'docs/openapi.json'])('%s says what the code does', async (path) => {
    const found = await readFile(join(root, path), 'utf8').catch(() => undefined);
    if (found === (await written(path))) return;
    throw new Error(`${path} does not say what contracts and controllers do: run "npm run describe"`);
  });

  test('asyncapi.json is AsyncAPI 3', async () => {
    expectAsyncApi(JSON.parse(await written('docs/asyncapi.json')));
  });

  test('openapi.json is OpenAPI 3.1', async () => {
    const result = await new Validator().validate(JSON.parse(await written('docs/openapi.json')));
    expect(result).toEqual({ valid: true });
  });
});

const Grant = defineJob({
  name: 'access.grant',
  queue: 'access',
  payload: z.object({ code: secret(z.string()), until: z.date().optional() }),
  priorities: true,
  version: 2,
  upgrade: { 1: (old) => old },
});

test('what is secret is marked, and priorities have channels of their own', () => {
  const document = describeMessages(new Contracts([Grant]));
  expectAsyncApi(document);
  expect(document).toMatchObject({
    channels: {
      'access.grant': { address: 'access.grant', bindings: { amqp: { exchange: { name: 'jobs' } } } },
      'high-priority': { address: 'queue-high.{queue}.{name}', parameters: { queue: { enum: ['access'] } } },
    },
    components: {
      messages: {
        'access.grant': {
          payload: { properties: { code: { type: 'string', writeOnly: true } } },
          headers: { required: ['x-version'], properties: { 'x-version': { const: 2 } } },
        },
      },
    },
  });
});

/** Holds a document against the schema that AsyncAPI publishes, and looks up what it refers to. */
function expectAsyncApi(document: unknown): void {
  const schema = require('@asyncapi/specs/schemas/3.0.0-without-$id.json');
  const ajv = new Ajv({ strict: false, validateFormats: false });
  const isValid = ajv.validate(schema, document);
  expect(isValid ? [] : ajv.errors).toEqual([]);
  JSON.stringify(document, (key, value) => {
    if (key === '$ref') expect([value, lookUp(document, value)]).toEqual([value, expect.anything()]);
    return value;
  });
}

const lookUp = (document: unknown, pointer: string) =>
  pointer
    .split('/')
    .slice(1)
    .reduce((part, key) => (part as Record<string, unknown> | undefined)?.[key], document);
