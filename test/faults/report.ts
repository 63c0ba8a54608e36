import type { Result } from './fault.js';

const COLUMNS = [
  'fault',
  'what is done',
  'promises',
  'attempted',
  'accepted',
  'lost',
  'doubled',
  'recovered',
  'recovery s',
  'result',
] as const;

/** The results as a table in Markdown, which also reads well in a terminal. */
export function toTable(results: readonly Result[]): string {
  const rows = [[...COLUMNS], ...results.map(toRow)];
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`;
  const [head, ...body] = rows.map(line);
  return [head, `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...body].join('\n');
}

/** One line for each problem. */
export function toProblems(results: readonly Result[]): string[] {
  return results.flatMap(({ fault, problems, remarks }) =>
    problems.length > 0 ? [...problems, ...remarks].map((text) => `${fault.id}: ${text}`) : [],
  );
}

/** The whole report, as it is written to a file. */
export function toMarkdown(results: readonly Result[], title: string): string {
  const problems = toProblems(results).map((problem) => `- ${problem}`);
  return [
    `# ${title}`,
    [
      'Each row is one fault, really made under load. *Lost*: jobs answered with 202 that were not done in the end.',
      '*Doubled*: runs of one attempt that no lost worker accounts for. *Recovered*: jobs that were open when the fault',
      'was over and ended afterwards, the last of them after *recovery s* seconds.',
    ].join('\n'),
    toTable(results),
    ...(problems.length > 0 ? [`## Problems\n\n${problems.join('\n')}`] : []),
    '',
  ].join('\n\n');
}

function toRow({ fault, findings, problems, remarks, skipped }: Result): string[] {
  const verdict = skipped ? `skipped: ${skipped}` : problems.length > 0 ? 'FAILED' : 'ok';
  const count = (value: number | undefined) => (value === undefined ? '' : String(value));
  return [
    fault.id,
    fault.title,
    fault.promises,
    count(findings?.attempted),
    count(findings?.accepted),
    count(findings?.lost.length),
    count(findings?.doubled.length),
    count(findings?.recovered),
    findings ? findings.secondsToRecover.toFixed(1) : '',
    problems.length > 0 || remarks.length === 0 ? verdict : `${verdict}; ${remarks.join(', ')}`,
  ];
}
