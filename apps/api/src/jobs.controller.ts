import { Body, Controller, Get, HttpCode, Param, Post, Query, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiOperation, ApiParam, ApiQuery, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { Jobs } from '#jobs';
import { type JobView, jobStates, Records, Views } from '#records';
import { ProblemException } from './problem.filter.js';
import { EnqueueBody, Fits, JobId, ListQuery, pageOf } from './requests.js';

const ENDED = new Set(['succeeded', 'dead', 'cancelled', 'discarded']);

/** Jobs over HTTP. */
@ApiTags('jobs')
@ApiBearerAuth()
@Controller('jobs')
export class JobsController {
  constructor(
    private readonly jobs: Jobs,
    private readonly records: Records,
    private readonly views: Views,
  ) {}

  @Post()
  @HttpCode(202)
  @ApiOperation({ summary: 'Enqueue a job', description: 'Once this answers 202 the job cannot be lost.' })
  @ApiResponse({
    status: 202,
    description: 'The job; Location says where to look at it',
    schema: { $ref: '#/components/schemas/Job' },
  })
  @ApiResponse({ status: 404, description: 'No contract has this name' })
  @ApiResponse({ status: 422, description: 'The payload does not fit the contract' })
  async enqueue(
    @Body(new Fits(EnqueueBody)) body: EnqueueBody,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<JobView> {
    const contract = this.jobs.contract(body.name);
    const { delay, runAt, queue } = body.options ?? {};
    if (queue !== undefined && !this.jobs.hasQueue(queue)) {
      throw new ProblemException(422, 'unknown-queue', 'The job was not enqueued', {
        errors: [{ pointer: '/options/queue', detail: 'no contract has a queue of this name' }],
      });
    }
    const job = await this.jobs.enqueue(contract, body.payload, { delay, runAt, queue });
    reply.header('location', `/jobs/${job.id}`);
    return job;
  }

  @Get()
  @ApiOperation({ summary: 'List jobs, newest first' })
  @ApiQuery({ name: 'state', required: false, enum: jobStates })
  @ApiQuery({ name: 'name', required: false })
  @ApiQuery({ name: 'queue', required: false })
  @ApiQuery({
    name: 'limit',
    required: false,
    schema: { type: 'integer', minimum: 1, maximum: 1000, default: 50 },
  })
  @ApiQuery({ name: 'cursor', required: false, description: 'The `next` of the page before' })
  async list(
    @Query(new Fits(ListQuery, 400)) query: ListQuery,
  ): Promise<{ items: JobView[]; next: string | null }> {
    const { cursor, ...filter } = query;
    return pageOf(await this.views.list({ ...filter, before: cursor }), filter.limit);
  }

  @Get(':id')
  @ApiParam({ name: 'id', format: 'uuid' })
  @ApiOperation({ summary: 'Look at a job' })
  @ApiResponse({ status: 200, description: 'The job', schema: { $ref: '#/components/schemas/Job' } })
  @ApiResponse({ status: 404, description: 'No job has this id' })
  async show(@Param('id') id: string, @Res({ passthrough: true }) reply: FastifyReply): Promise<JobView> {
    const job = await this.find(id);
    // RFC 9110: how long to wait before asking again.
    if (!ENDED.has(job.state)) reply.header('retry-after', 1);
    return job;
  }

  @Post(':id/cancel')
  @HttpCode(200)
  @ApiParam({ name: 'id', format: 'uuid' })
  @ApiOperation({ summary: 'Cancel a job that does not run yet' })
  @ApiResponse({
    status: 200,
    description: 'The job, cancelled',
    schema: { $ref: '#/components/schemas/Job' },
  })
  @ApiResponse({ status: 409, description: 'The job runs or has ended' })
  async cancel(@Param('id') id: string): Promise<JobView> {
    await this.find(id);
    const cancelled = await this.records.cancel(id);
    const job = await this.find(id);
    if (cancelled || job.state === 'cancelled') return job;
    throw new ProblemException(
      409,
      'not-cancellable',
      `The job is ${job.state}: only a job that does not run yet can be cancelled`,
    );
  }

  private async find(id: string): Promise<JobView> {
    const job = JobId.safeParse(id).success ? await this.views.find(id) : undefined;
    if (!job) throw new ProblemException(404, 'unknown-job', 'No job has this id');
    return job;
  }
}
