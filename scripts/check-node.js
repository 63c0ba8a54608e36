// The first step of the build: says when this Node is too old, or gets no fixes any more. npm would say so of
// many a package, in a page of warnings, which .npmrc turns off. Plain JavaScript, for any Node to run.
import { readFileSync } from 'node:fs';

/** When the even releases of Node end, as its release schedule says. */
const ENDS = { 18: '2025-04-30', 20: '2026-04-30', 22: '2027-04-30', 24: '2028-04-30' };

/** Of this Node and of today, unless a test says otherwise. */
const [version = process.versions.node, today = Date.now()] = process.argv.slice(2);

const read = (file) => readFileSync(new URL(`../${file}`, import.meta.url), 'utf8').trim();
const complain = (what) => console.error(`${what}: use Node ${read('.nvmrc')}, as .nvmrc says`);

const { node } = JSON.parse(read('package.json')).engines;
const [[major, minor], [leastMajor, leastMinor]] = [version, node.slice('>='.length)].map((text) =>
  text.split('.').map(Number),
);
if (major < leastMajor || (major === leastMajor && minor < leastMinor)) {
  complain(`This is Node ${version}, and ${node} is needed`);
  process.exitCode = 1;
} else if (new Date(today) > new Date(ENDS[major])) {
  complain(`Node ${major} has had no security fixes since ${ENDS[major]}`);
}
