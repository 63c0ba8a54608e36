import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where kinds of job stand, and where they are registered: in the folder that npm runs commands in. */
export const folders = {
  contracts: 'libs/contracts/src',
  schedules: 'libs/contracts/src/schedules',
  handlers: 'apps/worker/src/handlers',
};
export const indexes = {
  contracts: 'libs/contracts/src/index.ts',
  schedules: 'libs/contracts/src/schedules.ts',
  handlers: 'apps/worker/src/handlers/index.ts',
};

/** What a command was asked for cannot be done. */
export class Refusal extends Error {}

/** Runs a command; refused, it ends with exit code 2 and says why. */
export async function runCommand(command: (argv: string[]) => Promise<void> | void): Promise<void> {
  try {
    await command(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    console.error(error.message);
    process.exitCode = 2;
  }
}

/** Changes a file. @returns whether that made a difference. */
export function edit(file: string, change: (text: string) => string): boolean {
  const before = readFileSync(file, 'utf8');
  const after = change(before);
  if (after !== before) writeFileSync(file, after);
  return after !== before;
}

/**
 * Takes the lines that contain a text out of a file, each with what belongs to it: the lines indented below it and the
 * one that closes it; or, of a line that closes something, those back to where it opens; or, of `<!-- name -->`, those
 * up to `<!-- /name -->`. A text that begins with `{` means the braces that stand around the rest of it.
 *
 * @returns whether there were any.
 */
export const removeLines = (file: string, text: string): boolean =>
  edit(file, (content) => {
    const lines = content.split('\n');
    const isAround = text.startsWith('{');
    for (let at = lines.length - 1; at >= 0; at--) {
      if (!lines[at]?.includes(isAround ? text.slice(1) : text)) continue;
      const within = indentOf(lines[at]);
      while (isAround && at > 0 && indentOf(lines[at]) >= within) at--;
      const [from, to] = extentOf(lines, at);
      lines.splice(from, to - from);
      at = from;
    }
    const left = lines.join('\n').replace(/\n{3,}/g, '\n\n');
    // JSON takes no comma after the last.
    return file.endsWith('.json') ? left.replace(/,(?=\s*[\]}])/g, '') : left;
  });

/** What belongs to a line: where it begins, and where what comes after it does. */
function extentOf(lines: readonly string[], at: number): [from: number, to: number] {
  const [, mark] = /^\s*<!-- (.+) -->$/.exec(lines[at] ?? '') ?? [];
  if (mark) return [at, lines.indexOf(`<!-- /${mark} -->`, at) + 1];
  const indent = indentOf(lines[at]);
  const isWithin = (line?: string) => line !== undefined && (line === '' || indentOf(line) > indent);
  if (isClosing(lines[at])) {
    let from = at;
    while (isWithin(lines[from - 1])) from--;
    return [from - 1, at + 1];
  }
  let to = at + 1;
  while (isWithin(lines[to]) && isWithin(lines.slice(to).find((line) => line !== ''))) to++;
  if (to > at + 1 && isClosing(lines[to]) && indentOf(lines[to]) === indent) to++;
  return [at, to];
}

const indentOf = (line = '') => line.length - line.trimStart().length;
const isClosing = (line = '') => /^\s*[\])}]/.test(line);

/** What is made from the rest, or is nobody else's business. */
const OUTSIDE = new Set(['node_modules', 'dist', 'coverage', 'var', '.git', '.services', '.env']);

/** Every file of the clone. */
export function* filesBelow(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (OUTSIDE.has(entry.name)) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* filesBelow(path);
    else if (entry.isFile()) yield path;
  }
}

/** Formats files, and sorts what they import and export, as `npm run format` does. */
export function tidy(changed: readonly string[]): void {
  const files = changed.filter((file) => /\.(ts|js|json|ya?ml)$/.test(file) && file !== 'package-lock.json');
  if (files.length === 0) return;
  const biome = ['node_modules/@biomejs/biome/bin/biome', 'check', '--write', '--error-on-warnings'];
  const { status, stdout, stderr } = spawnSync(process.execPath, [...biome, ...files], { encoding: 'utf8' });
  if (status !== 0)
    throw new Error(`These files could not be formatted: ${files.join(', ')}\n${stdout}${stderr}`);
}
