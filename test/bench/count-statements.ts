import pg from 'pg';
import { statements } from './protocol.js';

/** Has this process count the statements that it sends, by the names that they are prepared under. */
export function countStatements(): void {
  const { query } = pg.Client.prototype;
  pg.Client.prototype.query = function (this: pg.Client, ...args: unknown[]) {
    const { name = 'others' } = args[0] as { name?: string };
    statements[name] = (statements[name] ?? 0) + 1;
    return (query as (...args: unknown[]) => unknown).apply(this, args);
  } as typeof query;
}
