import { setTimeout as pause } from 'node:timers/promises';
import { type Findings, hasSettled, type JobRecord, judge, readRecords } from './oracle.js';
import { Scene } from './scene.js';
import type { Stage } from './stage.js';

/** How long all accepted jobs may take to end once a fault is over. */
const RECOVERY_LIMIT_S = 60;
/** For effects that come late: a second run begins within this time after everything looks done. */
const AFTERMATH_MS = 1_000;

/** What a fault expects of the records beyond what the oracle asks of every fault. Throws what it finds wrong. */
export type Expectation = (records: JobRecord[], scene: Scene) => void;

/** One fault, really made. */
export interface Fault {
  /** Its number in the list of faults, such as `F1`. */
  id: string;
  /** What is broken, in a few words. */
  title: string;
  /** The promises that it puts to the test. */
  promises: string;
  /** Runs with `npm test` as well. */
  quick?: boolean;
  /** Brokers that it needs; one when absent. */
  nodes?: 3;
  /** Seconds until everything must have ended once the fault is over, where that takes longer than usual. */
  recoveryLimit?: number;
  /** It begins before the first migration. */
  bare?: boolean;
  /** What it needs that is not there; it is then skipped. */
  skip?: () => string | undefined;
  /** Makes the fault under load, and ends it. Throws when something is wrong already. */
  run(scene: Scene): Promise<Expectation | undefined>;
}

export interface Result {
  fault: Pick<Fault, 'id' | 'title' | 'promises'>;
  findings?: Findings;
  /** What went wrong, in sentences; none when the fault passed. */
  problems: string[];
  /** What is worth knowing though nothing is wrong, such as how many requests were refused. */
  remarks: string[];
  /** Why it was not run. */
  skipped?: string;
  /** Time that it took, with start and recovery. */
  seconds: number;
}

/** Plays one fault and judges it. Never throws. */
export async function play(fault: Fault, stage: Stage): Promise<Result> {
  const startedAt = Date.now();
  const seconds = () => (Date.now() - startedAt) / 1_000;
  const skipped = fault.skip?.();
  if (skipped) return { fault, problems: [], remarks: [], skipped, seconds: 0 };

  const problems: string[] = [];
  const remarks: string[] = [];
  let findings: Findings | undefined;
  let scene: Scene | undefined;
  try {
    scene = await Scene.open(stage, fault.bare);
    const expectation = await fault.run(scene);
    for (const load of scene.loads) await load.done;
    const overAt = Date.now();
    const limit = fault.recoveryLimit ?? RECOVERY_LIMIT_S;
    const settled = await hasSettled(scene, limit * 1_000);
    if (!settled) problems.push(`Not everything had ended ${limit} s after the fault was over`);
    await pause(AFTERMATH_MS);

    const records = await readRecords(scene);
    findings = judge(scene.loads, records, scene.ledger.read(), overAt, scene.kills);
    problems.push(...problemsOf(findings));
    remarks.push(...remarksOf(scene, findings));
    expectation?.(records, scene);
  } catch (error) {
    problems.push((error as Error).message);
  }
  try {
    if (scene && problems.length > 0) remarks.push(`logs: ${await scene.keepLogs(fault.id)}`);
    await stage.heal();
    await scene?.close();
  } catch (error) {
    problems.push(`Could not clear up: ${(error as Error).message}`);
  }
  return { fault, findings, problems, remarks, seconds: seconds() };
}

function problemsOf({ accepted, lost, doubled, astray }: Findings): string[] {
  const some = (ids: string[]) => `${ids.slice(0, 3).join(', ')}${ids.length > 3 ? ', …' : ''}`;
  return [
    accepted === 0 && 'No job was accepted, so nothing was tested',
    lost.length > 0 && `Lost ${lost.length}: ${some(lost)}`,
    doubled.length > 0 && `Ran twice without a recorded reason ${doubled.length}: ${some(doubled)}`,
    astray.length > 0 && `Ended otherwise than they should ${astray.length}: ${some(astray)}`,
  ].filter((problem) => problem !== false);
}

function remarksOf(scene: Scene, { unexpected }: Findings): string[] {
  const counts = scene.loads.flatMap(({ refused, unanswered }) => [
    ...[...refused].map(([status, count]) => `${count} × ${status}`),
    ...[...unanswered].map(([what, count]) => `${count} × ${what}`),
  ]);
  return unexpected > 0 ? [...counts, `${unexpected} recorded without a 202`] : counts;
}
