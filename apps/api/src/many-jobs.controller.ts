import { Body, Controller } from '@nestjs/common';
import { ApiBearerAuth, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import { AuditedPost, named, OfContracts } from '#http';
import { Jobs } from '#jobs';
import { BulkStore } from '#records';
import { Done } from '#resources';
import { CancelManyBody, RerunManyBody, RescheduleManyBody } from './many-jobs.schemas.js';
import { shownDone } from './requests.js';

const done = { status: 200, standardSchema: Done };
const counted = { status: 200, standardSchema: Done.pick({ count: true }) };

/** Jobs, many at once: those that a filter names. Killed half-way, the same call goes on with the rest. */
@ApiTags('jobs')
@ApiBearerAuth()
@OfContracts(named)
@Controller('jobs')
export class ManyJobsController {
  constructor(
    private readonly jobs: Jobs,
    private readonly bulk: BulkStore,
  ) {}

  @AuditedPost('cancel', 'jobs.cancel')
  @ApiOperation({ summary: 'Cancel many jobs', description: 'At least one filter is needed.' })
  @ApiResponse(counted)
  async cancel(@Body({ schema: CancelManyBody }) filter: CancelManyBody): Promise<{ count: number }> {
    const { count } = await this.bulk.cancel(filter);
    return { count };
  }

  @AuditedPost('reschedule', 'jobs.reschedule')
  @ApiOperation({ summary: 'Move many scheduled jobs to another time' })
  @ApiResponse(counted)
  async reschedule(
    @Body({ schema: RescheduleManyBody }) { delay, runAt, perSecond, ...filter }: RescheduleManyBody,
  ): Promise<{ count: number }> {
    const { count } = await this.bulk.reschedule(filter, { delayMs: delay, runAt }, { perSecond });
    return { count };
  }

  @AuditedPost('rerun', 'jobs.rerun')
  @ApiOperation({
    summary: 'Enqueue many jobs that have ended again',
    description:
      'As new jobs, but for those that were enqueued again before. `leftOut` counts those whose payload does not fit its contract.',
  })
  @ApiResponse(done)
  async rerun(
    @Body({ schema: RerunManyBody }) { perSecond, patch, ...filter }: RerunManyBody,
  ): Promise<Done> {
    return shownDone(await this.jobs.rerunAll(filter, { perSecond, patch }));
  }
}
