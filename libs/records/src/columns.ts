/** The values of rows, column by column, as `unnest` takes them: `columns(jobs, 'id', 'claim')`. */
export const columns = <Row>(rows: readonly Row[], ...keys: (keyof Row)[]): unknown[] =>
  keys.map((key) => rows.map((row) => row[key] ?? null));
