import type { Command } from 'commander';
import { EXIT, Failure } from './exit.js';
import type { Tools } from './tools.js';

/** How long a command that was interrupted may take to end in good order. */
const CLOSE_TIMEOUT_MS = 5_000;
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** What every command takes. */
export interface Common {
  json?: boolean;
}

/** Declares a command, with the option that all have and examples of its use. */
export function command(parent: Command, usage: string, description: string, ...examples: string[]): Command {
  return parent
    .command(usage)
    .description(description)
    .option('--json', 'print the result as JSON')
    .addHelpText('after', `\nExamples:\n${examples.map((line) => `  npm run jobs -- ${line}`).join('\n')}`);
}

/**
 * Runs a command with the libs that it needs, and lets go of them afterwards.
 *
 * @param task is told by the signal when somebody wants it to end; what takes longer than a moment must obey it.
 */
export async function withTools(task: (tools: Tools, signal: AbortSignal) => Promise<void>): Promise<void> {
  const interruption = new AbortController();
  const interrupt = () => {
    interruption.abort();
    setTimeout(() => process.exit(EXIT.interrupted), CLOSE_TIMEOUT_MS).unref();
  };
  // A second one ends the process at once, as is usual.
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

/** Ends a command that was interrupted, if it was. */
export function stopIf(signal: AbortSignal, message: string): void {
  if (signal.aborted) throw new Failure(message, EXIT.interrupted);
}
