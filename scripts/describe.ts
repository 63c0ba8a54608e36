import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import * as contracts from '#contracts';
import { Contracts } from '#jobs';
import { ApiModule } from '../apps/api/src/api.module.js';
import { documentApi } from '../apps/api/src/openapi.controller.js';
import { describeMessages } from './asyncapi.js';

/**
 * `npm run describe`: writes what other programs need to know of this one, from what checks their messages and
 * requests: `docs/asyncapi.json` for those that publish to the broker, `docs/openapi.json` for those that call the api.
 * A folder as argument stands for that of the repository.
 */

const [folder = '.'] = process.argv.slice(2);
const known = new Contracts(contracts);
// A preview knows controllers and their routes, and makes none of what would connect to something.
const api = await NestFactory.create(ApiModule, new FastifyAdapter(), { preview: true, logger: false });

for (const [name, document] of Object.entries({
  'docs/asyncapi.json': describeMessages(known),
  'docs/openapi.json': documentApi(api, known),
})) {
  const path = join(folder, name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `${JSON.stringify(document, null, 2)}\n`);
  console.log(`Wrote ${path}`);
}
