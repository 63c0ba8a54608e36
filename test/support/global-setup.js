// Plain JavaScript over the compiled services: Jest loads this file itself, past its own module resolution.
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { migrateDatabase } from '../../dist/libs/records/src/index.js';
import { startServices } from '../../dist/scripts/services.js';
import { givenAppsWith } from '../../dist/test/support/apps-with.js';

/** Makes the apps that tests start, and starts the services, once for the whole run; the workers that run the tests inherit their addresses. */
export default async function globalSetup() {
  process.env.WARREN_TEST_APPS = await givenAppsWith('samples');
  const services = await startServices({ mayShare: true, log: (line) => console.error(line) });
  process.env.WARREN_TEST_RABBITMQ_URL = services.rabbitmqUrl;
  process.env.WARREN_TEST_RABBITMQ_MANAGEMENT_URL = services.rabbitmqManagementUrl;
  process.env.WARREN_TEST_DATABASE_URL = services.databaseUrl;
  process.env.WARREN_TEST_DATABASE_TEMPLATE = await givenTemplate(services.databaseUrl);
  globalThis.warrenTestServices = services;
}

/** Makes a database with the schema, which each test's database is a copy of. */
async function givenTemplate(url) {
  const name = `template${randomBytes(6).toString('hex')}`;
  await administer(url, `create database ${name}`);
  const template = new URL(url);
  template.pathname = `/${name}`;
  await migrateDatabase(template.href);
  globalThis.warrenDropTemplate = () => administer(url, `drop database ${name}`);
  return name;
}

async function administer(url, statement) {
  const client = new pg.Client(url);
  await client.connect();
  await client.query(statement).finally(() => client.end());
}
