import { execFileSync } from 'node:child_process';
import { join, relative } from 'node:path';
import { workerData as inColor, parentPort } from 'node:worker_threads';
import ts from 'typescript';
import type { Told } from './sources.js';

/**
 * A thread that compiles the sources as `npm run build` does, and again after each change. It first writes what has
 * changed, so that it runs at once, and then checks the types.
 */

/** Less than half of what TypeScript waits for further changes: editors write all of a file at once. */
const SETTLE_MS = 100;

const tell = (told: Told) => parentPort?.postMessage(told);
const written: string[] = [];
const system: ts.System = {
  ...ts.sys,
  writeFile: (path, ...rest) => {
    written.push(relative('.', path));
    ts.sys.writeFile(path, ...rest);
  },
  setTimeout: (callback, _ms, ...args) => setTimeout(callback, SETTLE_MS, ...args),
};
const host = ts.createWatchCompilerHost(
  'tsconfig.build.json',
  {},
  system,
  ts.createEmitAndSemanticDiagnosticsBuilderProgram,
  (diagnostic) => tell(errorsIn([diagnostic])),
  () => undefined,
);
host.afterProgramCreate = (program) => {
  const broken = [...program.getConfigFileParsingDiagnostics(), ...program.getSyntacticDiagnostics()];
  if (broken.length > 0) return tell(errorsIn(broken));
  program.emit();
  tell({ files: written.splice(0) });
  const wrong = [
    ...program.getOptionsDiagnostics(),
    ...program.getGlobalDiagnostics(),
    ...program.getSemanticDiagnostics(),
  ];
  if (wrong.length > 0) tell(errorsIn(wrong));
};
ts.createWatchProgram(host);

// What is read at run time is copied as it is.
const onChange = (file: string) => {
  if (!/\/(assets|migrations)\//.test(file)) return;
  execFileSync(process.execPath, ['dist/scripts/copy-assets.js']);
  tell({ files: [join('dist', relative('.', file))] });
};
ts.sys.watchDirectory?.('libs', onChange, true);

function errorsIn(diagnostics: ts.Diagnostic[]): Told {
  const format: ts.FormatDiagnosticsHost = {
    getCanonicalFileName: (name) => name,
    getCurrentDirectory: () => process.cwd(),
    getNewLine: () => '\n',
  };
  const errors = inColor
    ? ts.formatDiagnosticsWithColorAndContext(diagnostics, format)
    : ts.formatDiagnostics(diagnostics, format);
  return { errors, count: diagnostics.length };
}
