import { Body, Controller, Get, Param, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiOperation, ApiParam, ApiResponse, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { AuditedPost, jobInPath, named, OfContracts, ProblemException } from '#http';
import { Jobs } from '#jobs';
import { DeadJobStore, JobQueries } from '#records';
import { Count, DeadGroup, Done, JobView, MessageView } from '#resources';
import { DeadLettersBody, DeadLettersQuery, ReplayBody, shownDone } from './requests.js';

/** A job, and what was received when no job could be made of it. */
const DeadLetter = JobView.extend({ message: MessageView.nullable() }).meta({ id: 'DeadLetter' });
type DeadLetter = z.output<typeof DeadLetter>;

const DeadGroups = z.strictObject({ count: Count, groups: z.array(DeadGroup) });
type DeadGroups = z.output<typeof DeadGroups>;

/** Dead letters, many at once: all, or those that a filter names. Killed half-way, the same call goes on with the rest. */
@ApiTags('dead letters')
@ApiBearerAuth()
@OfContracts(named)
@Controller('dead-letters')
export class DeadLettersController {
  constructor(
    private readonly dead: DeadJobStore,
    private readonly views: JobQueries,
    private readonly jobs: Jobs,
  ) {}

  @Get()
  @ApiOperation({
    summary: 'Count dead letters and what they died of',
    description:
      'At most 200 groups, the largest first. A group is a filter: with it, all of its letters are meant.',
  })
  @ApiResponse({ status: 200, standardSchema: DeadGroups })
  list(@Query({ schema: DeadLettersQuery }) filter: DeadLettersQuery): Promise<DeadGroups> {
    return this.dead.groups(filter);
  }

  @Get(':id')
  @OfContracts(jobInPath)
  @ApiParam({ name: 'id', format: 'uuid' })
  @ApiOperation({ summary: 'Look at a dead letter, a job or an unprocessable message' })
  @ApiResponse({ status: 200, standardSchema: DeadLetter })
  @ApiResponse({ status: 404, description: 'No dead letter has this id' })
  async show(@Param('id') id: string): Promise<DeadLetter> {
    const job = await this.jobs.find(id);
    if (job?.state !== 'dead')
      throw new ProblemException(404, 'unknown-dead-letter', 'No dead letter has this id');
    return { ...job, message: await this.views.messageOf(job) };
  }

  @AuditedPost('replay', 'dead-letters.replay')
  @ApiOperation({ summary: 'Send dead letters back to work' })
  @ApiResponse({ status: 200, standardSchema: Done })
  @ApiResponse({ status: 422, description: 'An edited payload does not fit its contract' })
  async replay(
    @Body({ schema: ReplayBody }) { perSecond, payload, patch, ...filter }: ReplayBody,
  ): Promise<Done> {
    const edit = this.jobs.editOf({ payload, patch }, filter.ids?.length === 1);
    return shownDone(await this.dead.replayAll(filter, { perSecond, edit }));
  }

  @AuditedPost('discard', 'dead-letters.discard')
  @ApiOperation({ summary: 'Give dead letters up for good' })
  @ApiResponse({ status: 200, standardSchema: Done.pick({ count: true }) })
  async discard(@Body({ schema: DeadLettersBody }) filter: DeadLettersBody): Promise<{ count: number }> {
    return { count: await this.dead.discard(filter) };
  }
}
