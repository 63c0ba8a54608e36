import { existsSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { root } from '#testing/services';
import type { Clone } from './clone.js';

/** A controller as the README has it, which enqueues a job of the clone's own. */
const CONTROLLER = `import { Controller, Post } from '@nestjs/common';
import { RoastTrial } from '#contracts';
import { Jobs } from '#jobs';

@Controller('stock')
export class StockController {
  constructor(private readonly jobs: Jobs) {}

  @Post()
  bake() {
    return this.jobs.enqueue(RoastTrial, { id: '1' });
  }
}
`;

/** Adds services and controllers to a clone that has the job `trial.roast`, with Nest's own generator. */
export async function addOwnCode(clone: Clone): Promise<void> {
  const nest = (...args: string[]) =>
    clone.succeed(['node_modules/@nestjs/cli/bin/nest.js', 'generate', ...args]);
  for (const project of ['api', 'worker', 'cli'].filter((app) => existsSync(join(root, 'apps', app))))
    await nest('service', 'stock', '--project', project);
  for (const project of ['api', 'worker']) await nest('controller', 'stock', '--project', project);
  await writeFile(join(clone.folder, 'apps/api/src/stock/stock.controller.ts'), CONTROLLER);
  // It cannot do without what it injects.
  await rm(join(clone.folder, 'apps/api/src/stock/stock.controller.spec.ts'));
  // Nest sorts no imports.
  await clone.succeed(['node_modules/@biomejs/biome/bin/biome', 'check', '--write', 'apps']);
}
