import { existsSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { edit, folders, indexes, Refusal, removeLines, runCommand, tidy } from './generate/tree.js';

/**
 * `npm run remove`: takes a part out of the clone as docs/removing.md says, which it reads, so that the two cannot
 * differ; or a job, with all that was generated for it.
 */

const DOCUMENT = 'docs/removing.md';

/** One line of a list in {@link DOCUMENT}. */
interface Step {
  path: string;
  /** Of which lines it is; of the whole path when absent. */
  text?: string;
  /** What takes the place of the text; the lines go when absent. */
  instead?: string;
}

/** The parts that can go, by the name that the command knows them by, each with the lines of its list. */
export function readParts(markdown: string): Map<string, string[]> {
  const sections = markdown.matchAll(/^## `(.+?)`[\s\S]*?^```\n([\s\S]*?)\n```/gm);
  return new Map([...sections].map(([, name = '', list = '']) => [name, list.split('\n')]));
}

function stepsOf(line: string): Step[] {
  if (line.startsWith('job ')) return stepsOfJob(line.slice(4));
  const [, path = '', text, instead] = /^(\S+?)(?:: (.*?)(?: =>(.*))?)?$/.exec(line) ?? [];
  return [{ path, text, instead: instead?.trim() }];
}

/** Takes one step. @returns whether there was anything to take. */
function take({ path, text, instead }: Step): boolean {
  if (!existsSync(path)) return false;
  if (instead !== undefined) return edit(path, (content) => content.replaceAll(text as string, instead));
  if (text !== undefined) return removeLines(path, text);
  rmSync(path, { recursive: true });
  rmSync(path.replace(/\.ts$/, '.test.ts'), { force: true });
  return true;
}

/** Takes the files and the lines of one kind of job. */
function stepsOfJob(name: string): Step[] {
  const contract = `${folders.contracts}/${name}.ts`;
  const [, exported] =
    (existsSync(contract) && /export const (\w+) = defineJob/.exec(readFileSync(contract, 'utf8'))) || [];
  if (!exported) return [];
  const schedule = `${folders.schedules}/${name}.ts`;
  const index = readFileSync(indexes.handlers, 'utf8');
  const marked = new RegExp(`@JobHandler\\(${exported}\\b`);
  const handler = [...index.matchAll(/from '\.\/(.+)\.handler\.js'/g)]
    .map(([, file]) => file)
    .find((file) => marked.test(readFileSync(`${folders.handlers}/${file}.handler.ts`, 'utf8')));
  return [
    { path: contract },
    { path: indexes.contracts, text: `'./${name}.js'` },
    ...(existsSync(schedule)
      ? [{ path: schedule }, { path: indexes.schedules, text: `'./schedules/${name}.js'` }]
      : []),
    { path: `${folders.handlers}/${handler}.handler.ts` },
    { path: indexes.handlers, text: `'./${handler}.handler.js'` },
  ];
}

/**
 * Takes parts and jobs out.
 *
 * @returns the steps that found nothing, as another part that shares them was taken out before.
 * @throws Refusal for a name that is not known, before anything is changed.
 */
export function removeAll(names: readonly string[]): Step[] {
  const parts = readParts(readFileSync(DOCUMENT, 'utf8'));
  const steps = names.flatMap((name) => {
    const found = parts.get(name)?.flatMap(stepsOf) ?? stepsOfJob(name);
    if (found.length > 0) return found;
    throw new Refusal(
      `There is neither a part nor a job "${name}". Parts: ${[...parts.keys()].join(', ')}; jobs are named as in ` +
        `${folders.contracts}, such as email.send`,
    );
  });
  const done = steps.filter(take);
  for (const index of Object.values(indexes)) {
    // Without a line in it, it would be no module.
    if (existsSync(index)) edit(index, (text) => (/^export /m.test(text) ? text : `${text}export {};\n`));
  }
  const changed = done
    .filter(({ path, text }) => text !== undefined && existsSync(path))
    .map(({ path }) => path);
  tidy([...new Set(changed)]);
  return steps.filter((step) => !done.includes(step));
}

if (process.argv[1] && realpathSync(process.argv[1]) === import.meta.filename) {
  await runCommand((names) => {
    if (names.length === 0)
      throw new Refusal(`Usage: npm run remove -- PART…, with the parts of ${DOCUMENT}; or a job`);
    for (const { path, text } of removeAll(names))
      console.log(`There was no ${text === undefined ? path : `"${text}" in ${path}`}`);
    console.log(
      `Removed ${names.join(', ')}. Look it over with git diff, then: npm run settings && npm run describe && npm run check && npm test`,
    );
  });
}
