import { existsSync } from 'node:fs';
import { loadEnvFile } from 'node:process';
import { findRunning } from './services/running.js';

/**
 * What Node loads before a program that an npm command runs (`node --import`): the addresses that neither the
 * environment nor `.env` names are those of the services that another command of this clone has started.
 */
if (existsSync('.env')) loadEnvFile('.env');
const { env } = process;
if (!env.RABBITMQ_URL || !env.DATABASE_URL) {
  const running = await findRunning(env, (line) => console.error(line));
  if (running) {
    env.RABBITMQ_URL = running.rabbitmqUrl;
    env.RABBITMQ_MANAGEMENT_URL ||= running.rabbitmqManagementUrl;
    env.DATABASE_URL = running.databaseUrl;
    console.error(`With the services of ${running.command} (process ${running.pid})`);
  }
}
