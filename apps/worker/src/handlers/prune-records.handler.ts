import { Settings } from '#config';
import { PruneRecords } from '#contracts';
import { Contracts, type Handler, type JobContext, JobHandler } from '#jobs';
import { Retention } from '#records';

/** Deletes what is older than JOB_RETENTION and the `keep` of contracts say. If it ends half-way, the next attempt goes on with what is left. */
@JobHandler(PruneRecords)
export class PruneRecordsHandler implements Handler<typeof PruneRecords> {
  constructor(
    private readonly settings: Settings,
    private readonly contracts: Contracts,
    private readonly retention: Retention,
  ) {}

  async handle({ signal, progress, log }: JobContext<typeof PruneRecords>) {
    const deleted: Record<string, number> = {};
    const ages = { ...this.settings.JOB_RETENTION, names: this.contracts.ages };
    for await (const step of this.retention.prune(ages)) {
      deleted[step.table] = (deleted[step.table] ?? 0) + step.deleted;
      progress(step.fraction, step.table);
      signal.throwIfAborted();
    }
    log.info({ deleted }, 'Records pruned');
    return { deleted };
  }
}
