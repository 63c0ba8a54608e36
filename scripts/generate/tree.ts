import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

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

/** What whoever runs a command asked for cannot be done. */
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
 * one that closes it; or, of a line that closes something, those back to where it opens.
 *
 * @returns whether there were any.
 */
export const removeLines = (file: string, text: string): boolean =>
  edit(file, (content) => {
    const lines = content.split('\n');
    for (let at = lines.length - 1; at >= 0; at--) {
      if (!lines[at]?.includes(text)) continue;
      const indent = indentOf(lines[at]);
      let from = at;
      let to = at + 1;
      const isWithin = (line?: string) => line !== undefined && (line === '' || indentOf(line) > indent);
      if (isClosing(lines[at])) {
        while (isWithin(lines[from - 1])) from--;
        from--;
      } else {
        while (isWithin(lines[to]) && isWithin(lines.slice(to).find((line) => line !== ''))) to++;
        if (to > at + 1 && isClosing(lines[to]) && indentOf(lines[to]) === indent) to++;
      }
      lines.splice(from, to - from);
      at = from;
    }
    const left = lines.join('\n');
    // JSON takes no comma after the last.
    return file.endsWith('.json') ? left.replace(/,(?=\s*[\]}])/g, '') : left;
  });

const indentOf = (line = '') => line.length - line.trimStart().length;
const isClosing = (line = '') => /^\s*[\])}]/.test(line);

/** Formats files, and sorts what they import and export, as `npm run format` does. */
export function tidy(files: readonly string[]): void {
  const biome = ['node_modules/@biomejs/biome/bin/biome', 'check', '--write', '--error-on-warnings'];
  const { status, stdout, stderr } = spawnSync(process.execPath, [...biome, ...files], { encoding: 'utf8' });
  if (status !== 0)
    throw new Error(`These files could not be formatted: ${files.join(', ')}\n${stdout}${stderr}`);
}
