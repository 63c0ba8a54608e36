import { loadDotEnv } from '#config';
import { shareRunning } from './services/running.js';

/**
 * What Node loads before a program that an npm command runs (`node --import`): the addresses that neither the
 * environment nor `.env` names are those of the services that another command of this clone has started.
 */
loadDotEnv();
await shareRunning((line) => console.error(line));
