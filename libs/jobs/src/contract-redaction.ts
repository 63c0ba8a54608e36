import { Injectable } from '@nestjs/common';
import { type AnyContract, namesOf } from '#define-job';
import { type JobView, type MessageView, type Previous, Redaction, type StoredMessage } from '#records';
import { REDACTED } from '#telemetry';
import { Contracts } from './contracts.js';
import { redact } from './redact.js';
import { shownPayload } from './shown-payload.js';
import { showMessage } from './unprocessable.js';

/** What is shown of a job. In results only marks are secret, not keys: a `token` there may be what the client wants. */
@Injectable()
export class ContractRedaction extends Redaction {
  constructor(private readonly contracts: Contracts) {
    super();
  }

  redact<Job extends JobView>(job: Job): Job {
    const shown = shownPayload(job, this.contracts.find(job.name));
    const result = this.result(job.name, job.result);
    const previous = job.previous && this.previous(job.previous);
    const { originalPayload } = job;
    // Of most jobs nothing is secret, and they need no copy.
    const isSame = shown.payload === job.payload && result === job.result && previous === job.previous;
    if (isSame && shown.upgradedPayload === undefined && originalPayload === undefined) return job;
    const original = originalPayload !== undefined && {
      originalPayload: redact(originalPayload, this.contracts.find(job.name)?.payload),
    };
    return { ...job, ...shown, ...original, result, previous };
  }

  redactMessage(message: StoredMessage, name: string): MessageView {
    return showMessage(message, this.contracts.find(name));
  }

  hiddenAt(path: readonly string[]): string[] | undefined {
    const payload = path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), 'something');
    const isHidden = (contract?: AnyContract) =>
      JSON.stringify(redact(payload, contract?.payload)).includes(REDACTED);
    if (isHidden()) return undefined;
    return [...this.contracts].filter(isHidden).flatMap(namesOf);
  }

  private previous(previous: Previous): Previous {
    const result = this.result(previous.name, previous.result);
    return result === previous.result ? previous : { ...previous, result };
  }

  private result(name: string, result: unknown): unknown {
    return redact(result, this.contracts.find(name)?.result, { keys: false });
  }
}
