import { Injectable } from '@nestjs/common';
import { columns } from './columns.js';
import { RecordsDatabase, rowsOf } from './records-database.js';
import { comesAfter } from './statements.js';

/** The columns whose JSON may hold encrypted parts, by table. Those of a lib that was removed do not exist. */
const COLUMNS: Record<string, readonly string[]> = {
  jobs: ['payload', 'original_payload', 'result', 'next', 'previous'],
  batches: ['on_complete', 'on_success'],
};
const PAGE = 200;

/** Rewrites encrypted parts in place, for a change of keys. */
@Injectable()
export class EncryptedColumns {
  constructor(private readonly database: RecordsDatabase) {}

  /**
   * Goes through all rows with encrypted parts, in pages. Killed half-way, the same call goes on with the rest.
   *
   * @param change makes new JSON text of that of a column. @returns how many rows were changed.
   */
  async rewrite(change: (json: string) => string, onPage = (_seen: number) => {}): Promise<number> {
    let [changed, seen] = [0, 0];
    for (const [table, names] of Object.entries(COLUMNS)) {
      const [found] = await rowsOf<{ exists: boolean }>(this.database, {
        text: 'select to_regclass($1) is not null as exists',
        values: [table],
      });
      for (let last: string | null = null; found?.exists; ) {
        const page: { last: string | null; changed: number; seen: number } = await this.page(
          table,
          names,
          last,
          change,
        );
        last = page.last;
        changed += page.changed;
        seen += page.seen;
        onPage(seen);
        if (last === null) break;
      }
    }
    return changed;
  }

  private page(
    table: string,
    names: readonly string[],
    last: string | null,
    change: (json: string) => string,
  ) {
    return this.database.transaction(async (transaction) => {
      const rows = await rowsOf<Record<string, string | null> & { id: string }>(transaction, {
        text: `
          select id, ${names.map((name) => `${name}::text`).join(', ')} from ${table}
          where ${comesAfter('$1')} and (${names.map((name) => `${name}::text like '%"$encrypted%'`).join(' or ')})
          order by id limit ${PAGE} for update`,
        values: [last],
      });
      const updates = rows.flatMap((row) => {
        const made = names.map((name) => [name, row[name] && change(row[name])]);
        return made.some(([name, json]) => json !== row[name as string])
          ? [{ id: row.id, ...Object.fromEntries(made) } as typeof row]
          : [];
      });
      if (updates.length > 0) {
        await transaction.query({
          text: `
            update ${table} t set ${names.map((name) => `${name} = n.${name}`).join(', ')}
            from unnest($1::uuid[], ${names.map((_, index) => `$${index + 2}::json[]`).join(', ')})
              as n (id, ${names.join(', ')}) where t.id = n.id`,
          values: columns(updates, 'id', ...names),
        });
      }
      const isEnd = rows.length < PAGE;
      return {
        last: isEnd ? null : (rows.at(-1)?.id ?? null),
        changed: updates.length,
        seen: rows.length,
      };
    });
  }
}
