import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { expect, test } from '@jest/globals';
import { root } from '#testing/services';

/** What the documents say of the source, as far as a program can tell. */

const read = (path: string) => readFileSync(join(root, path), 'utf8');
const below = (folder: string, ...endings: string[]) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => endings.some((ending) => file.endsWith(ending)))
    .map((file) => join(folder, file));

// A clone that has taken a part out, and this test with it, keeps what documents it likes.
const isWhole = existsSync(join(root, 'test/clone/removing.test.ts'));
const pages = ['README.md', 'AGENTS.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md'];
const documents = isWhole ? [...pages, ...below('docs', '.md')] : [];
const source = ['apps', 'libs']
  .flatMap((folder) =>
    below(folder, '.ts', '.tsx')
      .filter((file) => !/\.test\.tsx?$/.test(file))
      .map(read),
  )
  .join('\n');

/** The headings of a page, as links name them. */
const anchorsOf = (page: string) =>
  [...page.replaceAll(/^```[\s\S]*?^```/gm, '').matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );

test('every link leads to a file and a heading, and every npm command is one', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: object };
  const wrong = documents.flatMap((document) => {
    const text = read(document).replaceAll(/^```[\s\S]*?^```/gm, (code) =>
      document === 'docs/removing.md' ? '' : code,
    );
    const links = [...text.matchAll(/\]\(([^)\s:]+)\)/g)].map(([, link = '']) => link);
    // The changelog tells of commands that a clone may have taken out.
    const commands =
      document === 'CHANGELOG.md'
        ? []
        : [...text.matchAll(/npm run (?:--\S+ )*([a-z][a-z:-]*)/g)].map(([, name = '']) => name);
    return [
      ...links.filter((link) => {
        const [path, anchor] = link.split('#');
        const target = path ? normalize(join(dirname(document), path)) : document;
        return !existsSync(join(root, target)) || (anchor && !anchorsOf(read(target)).includes(anchor));
      }),
      ...commands.filter((name) => !Object.hasOwn(scripts, name)),
    ].map((what) => `${document}: ${what}`);
  });
  expect(wrong).toEqual([]);
});

test('AGENTS.md names paths that there are, and is a page', () => {
  if (!isWhole) return;
  const text = read('AGENTS.md');
  const paths = [...text.matchAll(/`([\w.-]+(?:\/[\w.-]+)+)`/g)].map(([, path = '']) => path);
  expect(paths.length).toBeGreaterThan(10);
  expect(paths.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  expect(text.split('\n').length).toBeLessThan(60);
});

test('docs/http.md lists the problems that the api answers with, docs/metrics.md the metrics and the alarms', () => {
  if (!isWhole) return;
  const named = (text: string, pattern: RegExp) =>
    [...new Set([...text.matchAll(pattern)].map(([, name = '']) => name))].sort();
  const missing = (names: string[], text: string) => names.filter((name) => !text.includes(name));
  const [http, metrics] = [read('docs/http.md'), read('docs/metrics.md')];
  const problems = named(http.slice(http.indexOf('| status |')), /`([a-z]+(?:-[a-z]+)+)`/g);
  expect(missing(problems, source)).toEqual([]);
  expect(missing(named(source, /new ProblemException\(\s*\d+,\s*'([a-z-]+)'/g), http)).toEqual([]);
  expect(missing(named(metrics, /^\| `(\w+)`/gm), source)).toEqual([]);
  expect(missing(named(read('docker/prometheus/alerts.yml'), /alert: (\w+)/g), metrics)).toEqual([]);
});

test('P16: what docs/upgrading.md says of jobs that wait is tested, and docs/deployment.md names no order either', () => {
  if (!isWhole) return;
  const [upgrading, deployment] = [read('docs/upgrading.md'), read('docs/deployment.md')];
  const [table = ''] = /^\| change \| jobs that wait[\s\S]*?\n\n/m.exec(upgrading) ?? [];
  const titles = [...table.matchAll(/"([^"]+)" \|$/gm)].map(([, title = '']) => title);
  expect(new Set(titles).size).toBeGreaterThan(6);
  const tests = read('test/promises/p16-changes.test.ts');
  expect(titles.filter((title) => !tests.includes(`test('P16: ${title}`))).toEqual([]);
  const section = (page: string, heading: string) => page.split(`## ${heading}\n`)[1]!.split('\n## ')[0]!;
  for (const said of [
    section(upgrading, 'The order of a deploy'),
    section(deployment, 'A deploy, anywhere'),
  ]) {
    expect(said).toMatch(/in any order|There is none/);
    expect(said).not.toMatch(/^\d\. /m);
  }
});

test('the lifecycle of a job is told in as many files as the README says', () => {
  if (!isWhole) return;
  const table = read('docs/lifecycle.md').split('Around these:')[0]!;
  expect(new Set(table.match(/\]\(\.\.\/[^)]+\)/g)).size).toBe(12);
  expect(read('README.md')).toContain('(docs/lifecycle.md), in twelve files');
});
