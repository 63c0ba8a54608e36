// `npm test`: builds, and runs Jest, which starts a broker and a database. When all that was asked for are tests that
// need neither build nor services, there is neither. Plain JavaScript, as it runs without a build.
import { spawn, spawnSync } from 'node:child_process';
import unit from '../jest.unit.config.js';

const JEST = [
  '--experimental-vm-modules',
  '--disable-warning=ExperimentalWarning',
  'node_modules/jest/bin/jest.js',
];
const args = process.argv.slice(2);

/** Whether these arguments of Jest choose some tests, and only such that stand alone. */
function standAlone() {
  if (args.length === 0) return false;
  const { stdout } = spawnSync(process.execPath, [...JEST, '--listTests', ...args], { encoding: 'utf8' });
  const files = stdout.split('\n').filter((line) => /\.tsx?$/.test(line));
  return files.length > 0 && files.every((file) => unit.testRegex.some((one) => new RegExp(one).test(file)));
}

const needsNothing = standAlone();
for (const build of needsNothing ? [] : ['build', 'build:faults']) {
  const { status } = spawnSync('npm', ['run', build, '--silent'], { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
const config = needsNothing ? ['--config', 'jest.unit.config.js'] : [];
const jest = spawn(process.execPath, [...JEST, ...config, ...args], { stdio: 'inherit' });
// Jest stops the services before it ends. Ctrl-C in a terminal has reached it already.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => jest.kill('SIGTERM'));
jest.on('exit', (code) => process.exit(code ?? 1));
