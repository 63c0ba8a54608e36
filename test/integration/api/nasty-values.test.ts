import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import * as contracts from '#contracts';
import { type AppProcess, type Environment, givenEnvironment, givenProcess } from '#testing/services';

/** What a client may send, by mistake or not, in place of what is meant. */
const NASTY: unknown[] = [
  ...[
    '',
    'a\0b',
    'a\udc00b',
    "'; drop table jobs; --",
    'x'.repeat(4_000),
    '99999999999999999999',
    '-1',
    '1e400',
  ],
  ...['0000-01-01T00:00:00Z', '9999-12-31T23:59:59.999-23:59', 'ffffffff-ffff-ffff-ffff-ffffffffffff'],
  ...[
    Buffer.from('a\0\nff').toString('base64url'),
    null,
    0.5,
    2 ** 40,
    1e308,
    ['a\0b', '\ud800'],
    { 'a\0': '\udfff' },
  ],
];
/** The same for what is text anyway. */
const NASTY_TEXTS = NASTY.filter((value) => typeof value === 'string' && value !== '') as string[];

interface Schema {
  $ref?: string;
  oneOf?: Schema[];
  anyOf?: Schema[];
  const?: unknown;
  enum?: unknown[];
  examples?: unknown[];
  example?: unknown;
  type?: string;
  format?: string;
  items?: Schema;
  required?: string[];
  properties?: Record<string, Schema>;
}
interface Operation {
  parameters?: { in: 'path' | 'query' | 'header'; name: string; schema?: Schema }[];
  requestBody?: { content: Record<string, { schema: Schema }> };
}
interface Call {
  method: string;
  path: string;
  headers?: Record<string, string>;
  body?: unknown;
}

/** What is looked for by a name can be there. */
const A_SCHEDULE = `insert into schedules (name, spec, next_at) values ('x', '{"cron":"@daily","timeZone":"UTC"}', now())`;

let environment: Environment;
let api: AppProcess;
let document: { paths: Record<string, Record<string, Operation>> };

beforeAll(async () => {
  document = JSON.parse(await readFile('docs/openapi.json', 'utf8'));
  environment = await givenEnvironment(Object.values(contracts));
  api = await givenProcess('api', environment, { LOG_LEVEL: 'warn' });
  await api.ready({ withBroker: false });
  await environment.sql(A_SCHEDULE);
});
afterAll(async () => {
  await api?.stop();
  await environment?.close();
});

const resolve = (schema: Schema): Schema => (schema.$ref ? resolve(pointedAt(schema.$ref)) : schema);
const pointedAt = (pointer: string) =>
  pointer
    .split('/')
    .slice(1)
    .reduce<unknown>((part, key) => (part as Record<string, unknown>)[key], document) as Schema;

/** A value that fits a schema, with all that it names; what follows a job is left out from the second on. */
function exampleOf(given: Schema, depth = 0): unknown {
  const schema = resolve(given);
  const [first] = schema.oneOf ?? schema.anyOf ?? [];
  if (first) return exampleOf(first, depth);
  if (depth > 4) return 'x';
  const example = schema.const ?? schema.enum?.[0] ?? schema.examples?.[0] ?? schema.example;
  if (example !== undefined) return example;
  if (schema.format === 'date-time') return '2030-01-01T00:00:00Z';
  if (schema.format === 'uuid') return '01890a5d-ac96-774b-bcce-b302099a8057';
  if (schema.format === 'uri') return 'https://example.com';
  if (schema.type === 'integer' || schema.type === 'number') return 1;
  if (schema.type === 'array') return [exampleOf(schema.items ?? {}, depth + 1)];
  if (!schema.properties) return 'x';
  const entries = Object.entries(schema.properties).filter(
    ([name]) => depth < 2 || schema.required?.includes(name),
  );
  return Object.fromEntries(entries.map(([name, value]) => [name, exampleOf(value, depth + 1)]));
}

/** The value with each of its parts, one after the other, exchanged for something nasty. */
function* spoilt(value: unknown): Generator<unknown> {
  yield* NASTY;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return;
  for (const [name, part] of Object.entries(value))
    for (const bad of spoilt(part)) yield { ...value, [name]: bad };
}

function* callsOf(
  path: string,
  method: string,
  { parameters = [], requestBody }: Operation,
): Generator<Call> {
  const at = (name: string, value: string) =>
    path.replace(/\{(\w+)\}/g, (_, part) => encodeURIComponent(part === name ? value : 'x'));
  for (const parameter of parameters) {
    if (parameter.in === 'query') yield { method, path: `${path}?${parameter.name}=a&${parameter.name}=b` };
    for (const bad of NASTY_TEXTS) {
      const text = bad.toWellFormed();
      if (parameter.in === 'path') yield { method, path: at(parameter.name, text) };
      if (parameter.in === 'query')
        yield { method, path: `${path}?${new URLSearchParams([[parameter.name, text]])}` };
      // No client can send others.
      if (parameter.in === 'header' && /^[ -~]*$/.test(text))
        yield { method, path: at('', ''), headers: { [parameter.name]: text }, body: bodyOf(requestBody) };
    }
  }
  const body = bodyOf(requestBody);
  if (typeof body !== 'object' || body === null) return;
  for (const bad of NASTY) yield { method, path: at('', ''), body: bad };
  // Each part beside what is required: some of the others exclude each other.
  const required = ['name', 'payload', 'payloads'];
  const least = Object.fromEntries(Object.entries(body).filter(([name]) => required.includes(name)));
  for (const [name, part] of Object.entries(body))
    for (const bad of spoilt(part)) yield { method, path: at('', ''), body: { ...least, [name]: bad } };
}

function bodyOf(requestBody: Operation['requestBody']): unknown {
  const schema = requestBody?.content['application/json']?.schema;
  return schema && exampleOf(schema);
}

async function send({ method, path, headers = {}, body }: Call): Promise<string | undefined> {
  const response = await fetch(api.url + path, {
    method: method.toUpperCase(),
    headers: body === undefined ? headers : { ...headers, 'content-type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  const isProblem = response.headers.get('content-type')?.startsWith('application/problem+json');
  if (response.status < 500 && (response.status < 400 || isProblem)) return undefined;
  return `${response.status} for ${method} ${path.slice(0, 100)} ${JSON.stringify({ headers, body })?.slice(0, 300)}: ${text.slice(0, 300)}`;
}

test('whatever a parameter, a header or a field holds is answered, if not with success, with a problem below 500', async () => {
  const calls = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations).flatMap(([method, operation]) => [...callsOf(path, method, operation)]),
  );
  // Health and metrics take nothing; all others do, or are lists without a filter.
  expect(new Set(calls.map(({ method, path }) => `${method} ${path.split(/[/?]/)[1]}`)).size).toBeGreaterThan(
    4,
  );
  expect(calls.length).toBeGreaterThan(500);
  const failures: string[] = [];
  const next = calls[Symbol.iterator]();
  const client = async () => {
    for (const call of next) {
      const failure = await send(call);
      if (failure) failures.push(failure);
    }
  };
  await Promise.all(Array.from({ length: 8 }, client));
  expect(failures.slice(0, 20)).toEqual([]);
});

test('a key that PostgreSQL cannot hold is refused, and gets nobody else’s job', async () => {
  for (const key of ['a\0b', '\ud800', '\udc00']) {
    const body = { name: 'sample.flaky', payload: {}, options: { unique: { key } } };
    const response = await fetch(`${api.url}/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    expect(response.status).toBe(422);
    expect(await response.json()).toMatchObject({ errors: [{ pointer: '/options/unique/key' }] });
  }
});
