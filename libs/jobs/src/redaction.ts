import { Injectable } from '@nestjs/common';
import { type JobView, Redaction } from '#records';
import { Contracts } from './contracts.js';
import { redact } from './secret.js';

/**
 * What is shown of a job, by its contract. In payloads, keys that name secrets count as much as marks. In results only
 * marks do: a `token` there may be what the client wants, and whoever defines the contract knows.
 */
@Injectable()
export class ContractRedaction extends Redaction {
  constructor(private readonly contracts: Contracts) {
    super();
  }

  redact<Job extends JobView>(job: Job): Job {
    const { previous } = job;
    return {
      ...job,
      payload: redact(job.payload, this.contracts.find(job.name)?.payload),
      result: this.result(job.name, job.result),
      previous: previous && { ...previous, result: this.result(previous.name, previous.result) },
    };
  }

  private result(name: string, result: unknown): unknown {
    return redact(result, this.contracts.find(name)?.result, { keys: false });
  }
}
