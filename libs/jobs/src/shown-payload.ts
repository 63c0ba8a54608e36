import type { AnyContract } from '#define-job';
import type { JobView } from '#records';
import { REDACTED } from '#telemetry';
import { type Holder, JobSecrets } from './job-secrets.js';
import { hasMarks, redact } from './redact.js';
import { safely } from './thrown.js';
import { upgraded } from './upgrade.js';

/**
 * A payload without its secrets, and as the contract takes it now if it is of an earlier version. The contract's marks do
 * not say what is secret in another version: the upgraded payload tells, and without one, all of it is.
 */
export function shownPayload(
  { payload, version }: Pick<JobView, 'payload' | 'version'>,
  contract: AnyContract | undefined,
): Pick<JobView, 'payload' | 'upgradedPayload'> {
  const schema = contract?.payload;
  if (!contract || payload === null || version === contract.version)
    return { payload: redact(payload, schema) };
  const isOld = version < contract.version;
  const current = isOld ? safely(() => upgraded(contract, 'payload', payload, version)) : undefined;
  if (current === undefined) return { payload: hasMarks(schema) ? REDACTED : redact(payload) };
  const original = hasMarks(schema) ? withoutSecrets(payload, [current, schema]) : payload;
  return { payload: redact(original, schema), upgradedPayload: redact(current, schema) };
}

/** A copy of JSON without the texts and numbers that quote a secret of another value. */
function withoutSecrets(json: unknown, other: Holder): unknown {
  const secrets = new JobSecrets(() => [other]);
  return JSON.parse(JSON.stringify(json), (_, value) => {
    if (typeof value !== 'string' && typeof value !== 'number') return value;
    const text = secrets.scrub(String(value));
    return text === String(value) ? value : text;
  });
}
