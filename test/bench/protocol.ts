/** What the bench tells its producers and workers, and what they answer, over the channel that `fork` opens. */

export type Command =
  /** A producer: enqueue so many jobs, of which at most `window` are not confirmed. */
  | { do: 'enqueue'; jobs: number; window: number }
  /** A producer: enqueue so many by the call for many, if there is one. */
  | { do: 'bulk'; jobs: number; size: number }
  /** A producer: enqueue at a steady rate. */
  | { do: 'pace'; perSecond: number; seconds: number }
  /** A producer: enqueue so many at once, and answer before they are confirmed. */
  | { do: 'feed'; jobs: number }
  /** A worker: what was done since this was asked last. */
  | { do: 'tally' }
  | { do: 'usage' };

export interface Answers {
  /** When the first call was made and the last one confirmed, in microseconds of the monotonic clock. */
  enqueue: { from: number; to: number };
  bulk: { from: number; to: number };
  pace: { from: number; to: number };
  feed: null;
  tally: { done: number; last: number; latencies: number[] };
  usage: { cpuMs: number; rssMiB: number; statements: Record<string, number> };
}

/** What a job carries: with the time about 200 bytes of JSON, unless more is asked for. */
export const PAD = 'x'.repeat(Number(process.env.PAD ?? 170));

/** The machine's monotonic clock in microseconds, the same in all processes. */
export const now = (): number => Number(process.hrtime.bigint() / 1_000n);

/** How many statements of each name this process has sent to PostgreSQL; `countStatements` counts them. */
export const statements: Record<string, number> = {};

/** Answers the bench's commands in a child process, and tells it that the child is ready. */
export function serve(
  handlers: {
    [Name in Command['do']]?: (
      command: Extract<Command, { do: Name }>,
    ) => Promise<Answers[Name]> | Answers[Name];
  },
): void {
  process.on('message', async (command: Command) => {
    try {
      const handler = handlers[command.do] as ((command: Command) => unknown) | undefined;
      process.send?.({ answer: handler ? await handler(command) : null });
    } catch (error) {
      process.send?.({ error: (error as Error).stack });
    }
  });
  // The bench is gone, however it ended.
  process.on('disconnect', () => process.exit());
  process.send?.({ ready: true });
}

/** What a process has used so far. */
export function usage(): Answers['usage'] {
  const { user, system } = process.cpuUsage();
  return { cpuMs: (user + system) / 1_000, rssMiB: process.memoryUsage.rss() / 1_048_576, statements };
}
