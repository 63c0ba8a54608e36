import { Logger, Module } from '@nestjs/common';

/** What a worker of this test file logs, from the first line on: it is among the worker's `imports`. */
@Module({})
export class KeptLines {
  static readonly lines: string[] = [];

  constructor() {
    const keep = (line: unknown) =>
      KeptLines.lines.push(typeof line === 'string' ? line : JSON.stringify(line));
    Logger.overrideLogger({ log: keep, warn: keep, error: keep });
  }
}
