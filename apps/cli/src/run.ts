import type { Command } from 'commander';
import { EXIT, Failure } from './exit.js';
import type { Tools } from './tools.js';

/** Time limit for the clean-up of an interrupted command. */
const CLOSE_TIMEOUT_MS = 5_000;
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** Options of every command. */
export interface Common {
  json?: boolean;
}

/** Adds a command with --json and usage examples. */
export function command(parent: Command, usage: string, description: string, ...examples: string[]): Command {
  // Otherwise a command that has others below it would take their --json for its own.
  return parent
    .enablePositionalOptions()
    .command(usage)
    .description(description)
    .option('--json', 'print the result as JSON')
    .addHelpText('after', `\nExamples:\n${examples.map((line) => `  npm run jobs -- ${line}`).join('\n')}`);
}

/** Opens connections, runs a task and closes them. The task must end soon after its signal is aborted. */
export async function withTools(task: (tools: Tools, signal: AbortSignal) => Promise<void>): Promise<void> {
  const interruption = new AbortController();
  const interrupt = () => {
    interruption.abort();
    setTimeout(() => process.exit(EXIT.interrupted), CLOSE_TIMEOUT_MS).unref();
  };
  // A second signal ends the process at once.
  for (const signal of SIGNALS) process.once(signal, interrupt);
  const { openTools } = await import('./tools.js');
  const tools = await openTools();
  try {
    await task(tools, interruption.signal);
  } finally {
    await tools.close();
    for (const signal of SIGNALS) process.off(signal, interrupt);
  }
}

/** @throws Failure if the command was interrupted. */
export function stopIf(signal: AbortSignal, message: string): void {
  if (signal.aborted) throw new Failure(message, EXIT.interrupted);
}
