import { existsSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { removeTrigger, TRIGGERS } from './generate/keda.js';
import { unlinkGone } from './generate/links.js';
import { edit, folders, indexes, Refusal, removeLines, runCommand, tidy } from './generate/tree.js';

/**
 * `npm run remove`: takes a part out of the clone as docs/removing.md says, which it reads, so that the two cannot
 * differ; or a job, with all that was generated for it.
 */

const DOCUMENT = 'docs/removing.md';

/** What is done for one line of a list in {@link DOCUMENT}. */
interface Step {
  path: string;
  /** Of which lines it is, or of what else in the file; of the whole path when absent. */
  what?: string;
  /** @returns false when there was nothing to take. */
  take(): boolean | undefined;
}

type Lists = ReadonlyMap<string, string[]>;

/**
 * The lists of lines, by the name that the command knows them by. @param sharedToo also those of what several parts
 * share, which nobody takes out by itself.
 */
export function readParts(markdown: string, sharedToo = false): Map<string, string[]> {
  const heading = sharedToo ? '###?' : '##';
  const sections = markdown.matchAll(
    new RegExp(`^${heading} \`(.+?)\`[\\s\\S]*?^\`\`\`\\n([\\s\\S]*?)\\n\`\`\``, 'gm'),
  );
  return new Map([...sections].map(([, name = '', list = '']) => [name, list.split('\n')]));
}

/** The steps of a part. @returns undefined for one that is not there, or no more. */
function stepsOfPart(name: string, lists: Lists): Step[] | undefined {
  const lines = lists.get(name);
  return lines && [...lines.flatMap((line) => stepsOf(line, lists)), sectionOf(name)];
}

function stepsOf(line: string, lists: Lists): Step[] {
  const [, word, name = '', rest = ''] = /^(job|part|unless) ([^\s:]+)(?:: (.*))?$/.exec(line) ?? [];
  if (word === 'job') return stepsOfJob(name) ?? [];
  if (word === 'part') return stepsOfPart(name, lists) ?? [];
  if (word === 'unless') {
    // Whether that job is there is known once the steps before this one are done.
    const isKept = () => existsSync(contractOf(name));
    return stepsOf(rest, lists).map((step) => ({ ...step, take: () => isKept() || step.take() }));
  }
  const [, path = '', text, instead] = /^(\S+?)(?:: (.*?)(?: =>(.*))?)?$/.exec(line) ?? [];
  return [stepOf(path, text, instead?.trim())];
}

/** @param text of which lines it is; of the whole path when absent. @param instead what takes the place of the text. */
function stepOf(path: string, text?: string, instead?: string): Step {
  const take = () => {
    if (!existsSync(path)) return false;
    if (instead !== undefined) return edit(path, (content) => content.replaceAll(text as string, instead));
    if (text !== undefined) return removeLines(path, text);
    rmSync(path, { recursive: true });
    rmSync(path.replace(/\.(tsx?)$/, '.test.$1'), { force: true });
    return true;
  };
  return { path, what: text, take };
}

/** What is gone cannot be removed once more. */
const sectionOf = (name: string): Step => ({
  path: DOCUMENT,
  what: `## ${name}`,
  take: () =>
    edit(DOCUMENT, (text) =>
      text.replace(new RegExp(`^###? \`${name}\`\\n[\\s\\S]*?(?=^##|$(?![\\s\\S]))`, 'm'), ''),
    ),
});

const contractOf = (job: string) => `${folders.contracts}/${job}.ts`;

/** The steps for the files and the lines of one kind of job. @returns undefined when there is none of that name. */
function stepsOfJob(name: string): Step[] | undefined {
  const contract = contractOf(name);
  const text = existsSync(contract) ? readFileSync(contract, 'utf8') : '';
  const [, exported] = /export const (\w+) = defineJob/.exec(text) ?? [];
  if (!exported) return undefined;
  const schedule = `${folders.schedules}/${name}.ts`;
  const index = readFileSync(indexes.handlers, 'utf8');
  const marked = new RegExp(`@JobHandler\\(${exported}\\b`);
  const handler = [...index.matchAll(/from '\.\/(.+)\.handler\.js'/g)]
    .map(([, file]) => file)
    .find((file) => marked.test(readFileSync(`${folders.handlers}/${file}.handler.ts`, 'utf8')));
  const [, queue = ''] = /^ {2}queue: '(.+)'/m.exec(text) ?? [];
  return [
    stepOf(contract),
    stepOf(indexes.contracts, `'./${name}.js'`),
    ...(existsSync(schedule)
      ? [stepOf(schedule), stepOf(indexes.schedules, `'./schedules/${name}.js'`)]
      : []),
    stepOf(`${folders.handlers}/${handler}.handler.ts`),
    stepOf(indexes.handlers, `'./${handler}.handler.js'`),
    { path: TRIGGERS, what: queue, take: () => removeTrigger(queue) },
  ];
}

/**
 * Takes parts and jobs out.
 *
 * @returns what there was none of, as another part that shares it was taken out before.
 * @throws Refusal for a name that is not known, before anything is changed.
 */
export function removeAll(names: readonly string[]): Step[] {
  const markdown = readFileSync(DOCUMENT, 'utf8');
  const parts = readParts(markdown);
  const lists = readParts(markdown, true);
  const steps = names.flatMap((name) => {
    const found = (parts.has(name) && stepsOfPart(name, lists)) || stepsOfJob(name);
    if (found) return found;
    throw new Refusal(
      `There is neither a part nor a job "${name}". Parts: ${[...parts.keys()].join(', ')}; jobs are named as in ` +
        `${folders.contracts}, such as records.prune`,
    );
  });
  const keyOf = ({ path, what }: Step) => `${path}: ${what}`;
  const missing = steps.filter(({ take }) => take() === false);
  const taken = steps.filter((step) => !missing.includes(step));
  for (const index of Object.values(indexes)) {
    // Without a line in it, it would be no module.
    if (existsSync(index)) edit(index, (text) => (/^export /m.test(text) ? text : `${text}export {};\n`));
  }
  unlinkGone();
  const changed = taken.filter(({ path, what }) => what !== undefined && existsSync(path));
  tidy([...new Set(changed.map(({ path }) => path))]);
  // What two parts name is missing only when neither found it.
  const found = new Set(taken.map(keyOf));
  return [...new Map(missing.map((step) => [keyOf(step), step])).values()].filter(
    (step) => !found.has(keyOf(step)),
  );
}

if (process.argv[1] && realpathSync(process.argv[1]) === import.meta.filename) {
  await runCommand((names) => {
    if (names.length === 0)
      throw new Refusal(`Usage: npm run remove -- PART…, with the parts of ${DOCUMENT}; or a job`);
    for (const { path, what } of removeAll(names))
      console.log(`There was no ${what === undefined ? path : `"${what}" in ${path}`}`);
    console.log(
      `Removed ${names.join(', ')}. Look it over with git diff, then: npm run settings && npm run describe && npm run check && npm test`,
    );
  });
}
