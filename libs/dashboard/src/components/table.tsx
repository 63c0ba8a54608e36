import type { ComponentChildren } from 'preact';
import { Count, None, Time } from './values.js';

/** A column: its heading, what a row has in it (a field, or what is made of it), and what kind of content that is. */
export type Column<Row> = [
  label: string,
  cell: keyof Row | ((row: Row) => unknown),
  kind?: 'number' | 'wide' | 'actions',
];

function readable(value: unknown): ComponentChildren {
  if (value === null || value === undefined) return <None />;
  if (value instanceof Date) return <Time at={value} />;
  return typeof value === 'number' ? <Count of={value} /> : (value as ComponentChildren);
}

interface TableProps<Row> {
  caption: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  /** What is said in its place when there are no rows, and what to do about it. */
  empty?: readonly [title: string, advice?: string];
}

/** A table that becomes a list of cards where it is narrow; then each cell says its column. */
export function Table<Row>({ caption, columns, rows, empty }: TableProps<Row>) {
  if (empty && rows.length === 0)
    return (
      <div class="empty card">
        <h2>{empty[0]}</h2>
        <p>{empty[1]}</p>
      </div>
    );
  return (
    <div class="table card">
      <table>
        <caption>{caption}</caption>
        <thead>
          <tr>
            {columns.map(([label, , kind]) => (
              <th class={kind}>{label}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr>
              {columns.map(([label, cell, kind]) => (
                <td class={kind} data-label={label}>
                  {readable(typeof cell === 'function' ? cell(row) : row[cell])}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** What is known of one thing, each with its label; what is not given is left out. */
export const Facts = ({ of }: { of: Record<string, unknown> }) => (
  <dl class="card">
    {Object.entries(of)
      .filter(([, value]) => value !== undefined && value !== null && value !== false)
      .map(([label, value]) => (
        <div>
          <dt>{label}</dt>
          <dd>{readable(value)}</dd>
        </div>
      ))}
  </dl>
);
