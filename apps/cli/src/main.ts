import { CommanderError } from 'commander';
import { commandLine } from './command-line.js';
import { codeOf, EXIT } from './exit.js';
import { clean, say } from './output.js';

// The reader of the output may close it early.
process.stdout.on('error', () => process.exit(EXIT.done));
try {
  await commandLine().parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? EXIT.done : EXIT.wrongUse);
  const code = codeOf(error as Error);
  const { message, stack } = error as Error;
  const lines = code === undefined ? (stack ?? message) : message;
  say(lines.split('\n').map(clean).join('\n'));
  process.exit(code ?? EXIT.failed);
}
process.exit(EXIT.done);
