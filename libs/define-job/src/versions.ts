/** The version of a payload or a result that names none, and the highest that a record can hold. */
export const FIRST_VERSION = 1;
export const MAX_VERSION = 32_767;

/** Makes of a payload or a result of one version that of the next. Pure, and not asynchronous. */
// biome-ignore lint/suspicious/noExplicitAny: what earlier versions were, no schema says any more
export type Step<From = any, To = any> = (old: From) => To;

/** A step for each earlier version, by that version. */
export type Steps = Readonly<Record<number, Step>>;

interface Versioned {
  version: number;
  upgrade: Steps;
  upgradeResult: Steps | undefined;
}

/** What the step to version `N` gives: the last one what the schema takes, any other one what the next step takes. */
type Given<Version extends number, N extends number, Last, Next> = Version extends N ? Last : Next;

/** The steps as a contract defines them: each takes what the one before gave. The types go as far as version 5. */
export interface TypedSteps<Version extends number, Last, A, B, C, D> {
  // biome-ignore lint/suspicious/noExplicitAny: see Step
  1?: Step<any, Given<Version, 2, Last, A>>;
  2?: Step<A, Given<Version, 3, Last, B>>;
  3?: Step<B, Given<Version, 4, Last, C>>;
  4?: Step<C, Given<Version, 5, Last, D>>;
  [from: number]: Step | undefined;
}

/** Whether a value can be the version of a contract, a payload or a result. */
export const isVersion = (value: unknown): value is number =>
  Number.isInteger(value) && Number(value) >= FIRST_VERSION && Number(value) <= MAX_VERSION;

/** What is wrong with the version of a contract and the steps up to it, if anything. */
export function problemWithVersions({ version, upgrade, upgradeResult }: Versioned): string | undefined {
  if (!isVersion(version)) return `version must be an integer from 1 to ${MAX_VERSION}, not ${version}`;
  return (
    problemWithSteps('upgrade', upgrade, version) ??
    (upgradeResult && problemWithSteps('upgradeResult', upgradeResult, version))
  );
}

function problemWithSteps(part: string, steps: Steps, version: number): string | undefined {
  for (const [from, step] of Object.entries(steps)) {
    if (!isVersion(Number(from)) || Number(from) >= version)
      return `${part} has a step from version ${from}, and steps are from versions below ${version}, its version`;
    if (typeof step !== 'function') return `${part} from version ${from} must be a function`;
  }
  for (let from = FIRST_VERSION; from < version; from++) {
    if (!steps[from])
      return `${part} has no step from version ${from} to ${from + 1}: add ${part}: { ${from}: (old) => … }`;
  }
  return undefined;
}
