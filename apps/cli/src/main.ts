import type { INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Command, CommanderError } from 'commander';
import { SettingsError } from '#config';
import { TopologyError } from '#rabbitmq';
import { DatabaseUnavailableError } from '#records';
import { CliModule } from './cli.module.js';
import { rebuild } from './rebuild.js';

/**
 * The operator's command line: `npm run jobs -- COMMAND`. Results go to standard output, everything else to standard
 * error. Exit codes: 0 done, 1 failed, 2 wrong use.
 */
const program = new Command('jobs')
  .description('Looks after the jobs of this service.')
  .showHelpAfterError('Add --help for what there is.')
  .exitOverride();

program
  .command('rebuild')
  .description('publish every unfinished job again, for example after the broker lost its data')
  .option('--json', 'print the result as JSON')
  .addHelpText(
    'after',
    '\nSafe at any time, twice, or killed half-way: a job that is published twice runs once.',
  )
  .action((options: { json?: boolean }) => withApp((app) => rebuild(app, options)));

/** Runs a command with the libs at hand, and lets go of them afterwards. */
async function withApp(command: (app: INestApplicationContext) => Promise<void>): Promise<void> {
  const app = await NestFactory.createApplicationContext(CliModule, {
    logger: ['warn', 'error', 'fatal'],
    abortOnError: false,
  });
  app.enableShutdownHooks(['SIGTERM', 'SIGINT'], { useProcessExit: true });
  try {
    await command(app);
  } finally {
    await app.close();
  }
}

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : 2);
  const isExpected = [SettingsError, TopologyError, DatabaseUnavailableError].some(
    (type) => error instanceof type,
  );
  process.stderr.write(`${isExpected ? (error as Error).message : (error as Error).stack}\n`);
  process.exit(1);
}
process.exit(0);
