import { join } from 'node:path';
import ts from 'typescript';

/**
 * Checks the types of a folder, and again after changes: only what a change can reach is checked then, which takes
 * seconds instead of tens of them.
 *
 * @returns what checks them now; it throws with what is wrong.
 */
export function givenTypeChecker(folder: string): () => void {
  const parsed = new Map<string, ts.SourceFile>();
  const check = (before?: ts.SemanticDiagnosticsBuilderProgram) => {
    const { config } = ts.readConfigFile(join(folder, 'tsconfig.json'), ts.sys.readFile);
    const { fileNames, options } = ts.parseJsonConfigFileContent(config, ts.sys, folder);
    const host = ts.createIncrementalCompilerHost({ ...options, incremental: true });
    const parse = host.getSourceFile;
    host.getSourceFile = (file, ...rest) => {
      const known = parsed.get(file);
      if (known && known.text === ts.sys.readFile(file)) return known;
      const source = parse(file, ...rest);
      if (source) parsed.set(file, source);
      return source;
    };
    const program = ts.createSemanticDiagnosticsBuilderProgram(fileNames, options, host, before);
    const wrong = [
      ...program.getOptionsDiagnostics(),
      ...program.getSyntacticDiagnostics(),
      ...program.getSemanticDiagnostics(),
    ];
    if (wrong.length > 0) throw new Error(ts.formatDiagnostics(wrong, host));
    return program;
  };
  const start = check();
  return () => void check(start);
}
