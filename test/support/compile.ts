import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { transformFile } from '@swc/core';
// @ts-expect-error plain JavaScript
import jest from '../../jest.config.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const [, options] = jest.transform['^.+\\.ts$'];

/**
 * Compiles files of a test for plain Node, which knows nothing of Jest's transforms: what a thread runs, for example.
 *
 * @param urls the TypeScript files; they may import each other and, from the build, the libs.
 * @returns where the first of them is.
 */
export async function compile(...urls: URL[]): Promise<string> {
  const compiled = urls.map(async (url) => {
    const file = fileURLToPath(url);
    const target = join(root, 'dist', relative(root, file)).replace(/\.ts$/, '.js');
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, (await transformFile(file, options)).code);
    return target;
  });
  return (await Promise.all(compiled))[0]!;
}
