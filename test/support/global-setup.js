// Plain JavaScript over the compiled services: Jest loads this file itself, past its own module resolution.
import { startServices } from '../../dist/scripts/services.js';
import { givenAppsWith } from '../../dist/test/support/apps-with.js';

/** Makes the apps that tests start, and starts the services, once for the whole run; the workers that run the tests inherit their addresses. */
export default async function globalSetup() {
  process.env.WARREN_TEST_APPS = await givenAppsWith('samples');
  const services = await startServices({ log: (line) => console.error(line) });
  process.env.WARREN_TEST_RABBITMQ_URL = services.rabbitmqUrl;
  process.env.WARREN_TEST_RABBITMQ_MANAGEMENT_URL = services.rabbitmqManagementUrl;
  process.env.WARREN_TEST_DATABASE_URL = services.databaseUrl;
  globalThis.warrenTestServices = services;
}
