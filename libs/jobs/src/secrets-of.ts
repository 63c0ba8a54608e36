import type { Taken } from '#records';
import type { Contracts } from './contracts.js';
import type { IncomingJob } from './decode.js';
import type { Encryption } from './encryption.js';
import { JobSecrets } from './job-secrets.js';
import { safely } from './thrown.js';
import { upgraded, upgradedPrevious } from './upgrade.js';

/** The secrets of a job: in its payload, before and after upgrade and schema, and in the result of the job before. */
export function secretsOf(
  { name, value }: IncomingJob,
  { payload, version, previous }: Pick<Taken, 'payload' | 'version' | 'previous'>,
  contracts: Contracts,
  encryption: Encryption,
): JobSecrets {
  return new JobSecrets(() => {
    const contract = contracts.find(name);
    const schema = contract?.payload;
    const stored = payload === null ? value : JSON.parse(payload);
    // What cannot be decrypted here is known to nobody here.
    const given = safely(() => encryption.open(contract, 'payload', stored)) ?? stored;
    const current = contract && safely(() => upgraded(contract, 'payload', given, version));
    const before = previous ? contracts.find(previous.name)?.result : undefined;
    const opened = previous && (safely(() => encryption.openPrevious(previous, contracts)) ?? previous);
    return [
      [given, schema],
      [current, schema],
      [schema?.safeParse(current).data, schema],
      [opened?.result, before],
      [opened && safely(() => upgradedPrevious(opened, contracts).result), before],
    ];
  });
}
