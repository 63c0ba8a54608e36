import { Body, Controller, Get, Headers, HttpCode, Param, Post, Query, Res } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import { ApiBearerAuth, ApiHeader, ApiOperation, ApiParam, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import type { z } from 'zod';
import {
  AuditedPost,
  Client,
  type Intake,
  jobInPath,
  May,
  named,
  OfContracts,
  ProblemException,
  Scoped,
  scopeMissing,
} from '#http';
import { Jobs, JobWatcher } from '#jobs';
import { BulkStore, DeadJobStore, hasEnded, JobLogStore, JobSearch, JobStore } from '#records';
import { JobView } from '#resources';
import { jobOf } from './next-job.js';
import { APPLIED_HEADER, preferredWaitMs } from './prefer.js';
import {
  BulkAnswer,
  BulkBody,
  cursorOf,
  EnqueueBody,
  JobsPage,
  ListQuery,
  LogAnswer,
  LogQuery,
  parseIdempotencyKey,
  RerunBody,
  RescheduleBody,
} from './requests.js';

/** As much as a batch may have. */
const BULK_INTAKE: Intake = { bodyLimit: 16 * 1024 * 1024 };

/** Jobs over HTTP. */
@ApiTags('jobs')
@ApiBearerAuth()
@OfContracts(jobInPath)
@Controller('jobs')
export class JobsController {
  constructor(
    private readonly jobs: Jobs,
    private readonly records: JobStore,
    private readonly bulk: BulkStore,
    private readonly dead: DeadJobStore,
    private readonly logs: JobLogStore,
    private readonly search: JobSearch,
    private readonly watcher: JobWatcher,
  ) {}

  @Post()
  @Scoped('enqueue')
  @OfContracts(named)
  @HttpCode(202)
  @ApiOperation({ summary: 'Enqueue a job', description: 'Once this answers 202 the job cannot be lost.' })
  @ApiResponse({
    status: 202,
    description: 'The job; Location says where to look at it',
    standardSchema: JobView,
  })
  @ApiHeader({
    name: 'Idempotency-Key',
    required: false,
    description:
      'Anyone who sends the same key again within 24 hours gets the same job, and no second one is made',
  })
  @ApiResponse({
    status: 200,
    description: 'The job has ended within the time of Prefer; or its key was taken by it before',
    standardSchema: JobView,
  })
  @ApiHeader({
    name: 'Prefer',
    required: false,
    description: '`wait=N`: answer when the job has ended, or after N seconds, at most 30 (RFC 7240)',
  })
  @ApiResponse({ status: 404, description: 'No contract has this name' })
  @ApiResponse({
    status: 422,
    description: 'The payload does not fit the contract, or the Idempotency-Key came before with another one',
  })
  async enqueue(
    @Body({ schema: EnqueueBody }) body: EnqueueBody,
    @Headers('idempotency-key') key: string | undefined,
    @Headers('prefer') prefer: string | undefined,
    @Client() client: string,
    @May('read') mayRead: boolean,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<JobView> {
    const waitMs = preferredWaitMs(prefer);
    if (waitMs !== undefined && !mayRead)
      throw scopeMissing('To wait for the end of the job takes a key with the scope read', 'read');
    const { contract, payload, options } = jobOf(this.jobs, body);
    const idempotencyKey = parseIdempotencyKey(key);
    const { isNew, ...job } = await this.jobs.enqueue(contract, payload, {
      ...options,
      ...{ idempotencyKey, client },
    });
    reply.header('location', `/jobs/${job.id}`).header('vary', 'Prefer');
    if (!isNew) reply.status(200);
    if (!isNew && !mayRead) return withoutContent(job);
    if (waitMs === undefined) return job;
    reply.header(APPLIED_HEADER, `wait=${waitMs / 1_000}`);
    const hasEndedInTime = await this.watcher.ended(job.id, waitMs, { client: reply.raw });
    // The job is accepted: a database that does not answer now must not make the answer an error.
    const ended = hasEndedInTime && (await this.jobs.find(job.id).catch(() => undefined));
    if (!ended) return job;
    reply.status(200);
    return ended;
  }

  @Post('bulk')
  @Scoped('enqueue')
  @OfContracts(named)
  @HttpCode(202)
  @RouteConfig({ intake: BULK_INTAKE })
  @ApiOperation({
    summary: 'Enqueue many jobs, of any contracts',
    description:
      'All of them or none. Once this answers 202 none of them can be lost. In place of a job whose key another one holds, that one is named.',
  })
  @ApiResponse({ status: 202, description: 'The jobs, in the same order', standardSchema: BulkAnswer })
  @ApiResponse({ status: 422, description: 'A job cannot be accepted; the pointers say which' })
  async enqueueAll(
    @Body({ schema: BulkBody }) body: BulkBody,
    @Headers('idempotency-key') key: string | undefined,
  ): Promise<z.output<typeof BulkAnswer>> {
    if (key !== undefined) {
      throw new ProblemException(
        422,
        'request-does-not-fit',
        'This call takes no Idempotency-Key: give each job a unique key in its options',
      );
    }
    const jobs = body.jobs.map((job, index) => jobOf(this.jobs, job, `/jobs/${index}`));
    const enqueued = await this.jobs.enqueueAll(jobs);
    return { items: enqueued.map(({ id, state }) => ({ id, state })) };
  }

  @Get()
  @OfContracts(named)
  @ApiOperation({ summary: 'List jobs, newest first' })
  @ApiResponse({ status: 200, standardSchema: JobsPage })
  async list(@Query({ schema: ListQuery }) query: ListQuery): Promise<JobsPage> {
    const { cursor, ...filter } = query;
    const page = await this.search.list({ ...filter, before: cursor });
    return { ...page, next: cursorOf(page.next) };
  }

  @Get(':id')
  @ApiParam({ name: 'id', format: 'uuid' })
  @ApiOperation({ summary: 'Look at a job' })
  @ApiResponse({ status: 200, description: 'The job', standardSchema: JobView })
  @ApiResponse({ status: 404, description: 'No job has this id' })
  async show(@Param('id') id: string, @Res({ passthrough: true }) reply: FastifyReply): Promise<JobView> {
    const job = await this.find(id);
    // RFC 9110: how long to wait before asking again.
    if (!hasEnded(job.state)) reply.header('retry-after', 1);
    return job;
  }

  @Get(':id/log')
  @ApiParam({ name: 'id', format: 'uuid' })
  @ApiOperation({
    summary: 'Read what the handler of a job logged',
    description: 'Lines of info and above, oldest first: the newest 1,000, or 1 MiB, at most.',
  })
  @ApiResponse({ status: 200, standardSchema: LogAnswer })
  @ApiResponse({ status: 404, description: 'No job has this id' })
  async log(
    @Param('id') id: string,
    @Query({ schema: LogQuery }) query: z.output<typeof LogQuery>,
  ): Promise<z.output<typeof LogAnswer>> {
    await this.find(id);
    return { items: await this.logs.of(id, query) };
  }

  @AuditedPost(':id/cancel', 'job.cancel')
  @ApiParam({ name: 'id', format: 'uuid' })
  @ApiOperation({
    summary: 'Cancel a job',
    description:
      'A job that waits is cancelled at once. One that runs is told within a second, and is cancelled when its handler ends.',
  })
  @ApiResponse({
    status: 200,
    description: 'The job: cancelled, or running with `cancelRequestedAt`',
    standardSchema: JobView,
  })
  @ApiResponse({ status: 409, description: 'The job has ended' })
  async cancel(@Param('id') id: string): Promise<JobView> {
    await this.find(id);
    const [touched] = await this.records.cancel([id]);
    const job = await this.find(id);
    if (touched || job.state === 'cancelled') return job;
    throw new ProblemException(409, 'not-cancellable', `The job is ${job.state}: it has ended`);
  }

  @AuditedPost(':id/reschedule', 'job.reschedule')
  @ApiParam({ name: 'id', format: 'uuid' })
  @ApiOperation({ summary: 'Move a scheduled job to another time' })
  @ApiResponse({ status: 200, description: 'The job', standardSchema: JobView })
  @ApiResponse({ status: 409, description: 'The job does not wait for its time' })
  async reschedule(
    @Param('id') id: string,
    @Body({ schema: RescheduleBody }) { delay, runAt }: RescheduleBody,
  ): Promise<JobView> {
    await this.find(id);
    const moved = await this.bulk.reschedule({ ids: [id] }, { delayMs: delay, runAt });
    const job = await this.find(id);
    if (moved.count > 0) return job;
    throw new ProblemException(409, 'not-scheduled', `The job is ${job.state}, not scheduled`);
  }

  @AuditedPost(':id/rerun', 'job.rerun', 202)
  @ApiParam({ name: 'id', format: 'uuid' })
  @ApiOperation({
    summary: 'Enqueue a job that has ended again, as it is or with another payload',
    description:
      'The new job has its queue, priority, tags, options and what follows it, and none of its keys.',
  })
  @ApiResponse({ status: 202, description: 'The new job, with `rerunOf`', standardSchema: JobView })
  @ApiResponse({ status: 409, description: 'The job has not ended' })
  @ApiResponse({ status: 422, description: 'The payload does not fit its contract' })
  async rerun(
    @Param('id') id: string,
    @Body({ schema: RerunBody }) edit: RerunBody,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<JobView> {
    const job = await this.jobs.rerun(id, edit);
    reply.header('location', `/jobs/${job.id}`);
    return job;
  }

  @AuditedPost(':id/replay', 'job.replay')
  @ApiParam({ name: 'id', format: 'uuid' })
  @ApiOperation({ summary: 'Send a dead letter back to work, attempts counted from zero' })
  @ApiResponse({ status: 200, description: 'The job', standardSchema: JobView })
  @ApiResponse({ status: 409, description: 'The job is not dead, or another one holds its unique key' })
  replay(@Param('id') id: string): Promise<JobView> {
    return this.changeDead(id, () => this.dead.replay({ ids: [id] }));
  }

  @AuditedPost(':id/discard', 'job.discard')
  @ApiParam({ name: 'id', format: 'uuid' })
  @ApiOperation({ summary: 'Give a dead letter up for good' })
  @ApiResponse({ status: 200, description: 'The job', standardSchema: JobView })
  @ApiResponse({ status: 409, description: 'The job is not dead' })
  discard(@Param('id') id: string): Promise<JobView> {
    return this.changeDead(id, () => this.dead.discard({ ids: [id] }));
  }

  private async changeDead(id: string, change: () => Promise<number>): Promise<JobView> {
    await this.find(id);
    const changed = await change();
    const job = await this.find(id);
    if (changed > 0) return job;
    const holder = job.state === 'dead' && (await this.dead.keyHolder(id));
    if (holder) {
      throw new ProblemException(
        409,
        'unique-key-held',
        `The job ${holder} holds the unique key of this one: replay it when that one has ended and its time is over`,
        { holder },
      );
    }
    throw new ProblemException(
      409,
      'not-dead',
      `The job is ${job.state}: only a dead one can be replayed or discarded`,
    );
  }

  private async find(id: string): Promise<JobView> {
    const job = await this.jobs.find(id);
    if (!job) throw new ProblemException(404, 'unknown-job', 'No job has this id');
    return job;
  }
}

/** For those who may enqueue only: somebody else may have made the job that holds the key. */
const withoutContent = ({ originalPayload: _, ...job }: JobView): JobView => ({
  ...job,
  ...{ payload: null, result: null, error: null, progressNote: null, attempts: [], tags: [] },
});
