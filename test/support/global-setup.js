// Plain JavaScript over the compiled services: Jest loads this file itself, past its own module resolution.
import { startServices } from '../../dist/scripts/services.js';

/** Starts the services once for the whole run; the workers that run the tests inherit their addresses. */
export default async function globalSetup() {
  const services = await startServices({ log: (line) => console.error(line) });
  process.env.WARREN_TEST_RABBITMQ_URL = services.rabbitmqUrl;
  process.env.WARREN_TEST_RABBITMQ_MANAGEMENT_URL = services.rabbitmqManagementUrl;
  process.env.WARREN_TEST_DATABASE_URL = services.databaseUrl;
  globalThis.warrenTestServices = services;
}
