import type { Result } from './fault.js';
import type { Stage } from './stage.js';
export async function soak(
  _stage: Stage,
  _minutes: number,
  _seed: number,
  _log: (line: string) => void,
): Promise<Result> {
  throw new Error('todo');
}
