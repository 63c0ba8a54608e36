import { type AnyContract, isPromise, NonRetryableError } from '#define-job';
import type { Previous } from '#records';
import type { Contracts } from './contracts.js';
import { PayloadError } from './errors.js';
import { toJson } from './json.js';
import { parseOrThrow } from './payload.js';
import { hasMarks } from './redact.js';
import { readThrown } from './thrown.js';

/** Payloads and results of earlier versions of a contract: each step makes them one version newer. */

const STEPS = { payload: 'upgrade', result: 'upgradeResult' } as const;

/** A step of `upgrade` or `upgradeResult` did not do what it is for. Trying again would not help. */
export class UpgradeError extends NonRetryableError {
  override readonly name = 'UpgradeError';
  /** @param from the version that the step makes one newer. @param problem the rest of the sentence. */
  constructor({ name }: AnyContract, part: keyof typeof STEPS, from: number, problem: string) {
    super(`${name}: ${STEPS[part]} from version ${from} to ${from + 1} ${problem}`);
  }
}

/**
 * Makes of JSON of an earlier version what the contract takes now; other JSON stays as it is.
 *
 * @returns JSON that fits the schema, and has not gone through it.
 * @throws UpgradeError that says which step threw, or gave what does not fit.
 */
export function upgraded(
  contract: AnyContract,
  part: keyof typeof STEPS,
  value: unknown,
  version: number,
): unknown {
  const steps = contract[STEPS[part]];
  if (!steps || version >= contract.version) return value;
  // A step may change what it is given, and others read that, too.
  let current = structuredClone(value);
  for (let from = version; from < contract.version; from++) {
    try {
      current = steps[from]?.(current);
    } catch (error) {
      const { name, message } = readThrown(error);
      const isQuoting = hasMarks(contract[part]);
      throw new UpgradeError(contract, part, from, `threw ${isQuoting ? name : `${name}: ${message}`}`);
    }
    if (!isPromise(current)) continue;
    current.then(undefined, () => {});
    throw new UpgradeError(contract, part, from, 'gave a promise: it must not be asynchronous');
  }
  try {
    const json = JSON.parse(toJson(current, Number.POSITIVE_INFINITY, `/${part}`));
    parseOrThrow(contract, part, json);
    return json;
  } catch (error) {
    const problem = error instanceof PayloadError ? 'gave what JSON cannot hold' : 'gave what does not fit';
    throw new UpgradeError(contract, part, contract.version - 1, `${problem}: ${(error as Error).message}`);
  }
}

/** What a job follows, with the result as the contract that gave it has it now. A batch's counts are of no version. */
export function upgradedPrevious(previous: Previous, contracts: Contracts): Previous {
  const { name, result, version } = previous;
  const contract = contracts.find(name);
  if (!contract || version === undefined || version >= contract.version) return previous;
  return { ...previous, result: upgraded(contract, 'result', result, version), version: contract.version };
}
