import { Body, Controller, Get, Headers, HttpCode, Module, Param, Post, Res } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import { ApiBearerAuth, ApiHeader, ApiOperation, ApiParam, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { Batches, BatchesModule, BatchStore, BatchView } from '#batches';
import {
  AuditedPost,
  Client,
  type ContractsOf,
  type Intake,
  named,
  OfContracts,
  ProblemException,
  Scoped,
} from '#http';
import { Jobs } from '#jobs';
import { Id } from '#resources';
import { checkQueue, nextJobOf } from '../next-job.js';
import { parseIdempotencyKey } from '../requests.js';
import { BatchBody } from './batch.schemas.js';

/** Room for 10,000 payloads of 1.6 KiB. */
const intake: Intake = { bodyLimit: 16 * 1024 * 1024 };

const ofBatch: ContractsOf = async ({ params }, modules) => {
  const { id } = params as { id: string };
  const batches = modules.get(BatchStore, { strict: false });
  const found = Id.safeParse(id).success ? await batches.find(id) : undefined;
  return found && [found.name];
};

const batch = { description: 'The batch', standardSchema: BatchView };

/** Many jobs at once, counted together. */
@ApiTags('batches')
@ApiBearerAuth()
@OfContracts(ofBatch)
@Controller('batches')
export class BatchesController {
  constructor(
    private readonly batches: Batches,
    private readonly records: BatchStore,
    private readonly jobs: Jobs,
  ) {}

  @Post()
  @Scoped('enqueue')
  @OfContracts(named)
  @HttpCode(202)
  @RouteConfig({ intake })
  @ApiOperation({
    summary: 'Enqueue many jobs of one contract',
    description: 'All of them or none. Once this answers 202 none of them can be lost.',
  })
  @ApiHeader({
    name: 'Idempotency-Key',
    required: false,
    description: 'Anyone who sends the same key again within 24 hours gets the same batch',
  })
  @ApiResponse({ status: 202, ...batch })
  @ApiResponse({ status: 200, ...batch, description: 'The batch that the Idempotency-Key made before' })
  @ApiResponse({ status: 404, description: 'No contract has this name' })
  @ApiResponse({ status: 422, description: 'A payload does not fit the contract; the pointers say which' })
  async enqueue(
    @Body({ schema: BatchBody }) body: BatchBody,
    @Headers('idempotency-key') key: string | undefined,
    @Client() client: string,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<BatchView> {
    const contract = this.jobs.contract(body.name);
    checkQueue(this.jobs, body.options?.queue, '/options/queue');
    const { isNew, ...made } = await this.batches.enqueue(contract, body.payloads, {
      ...body.options,
      ...{ idempotencyKey: parseIdempotencyKey(key), client },
      onComplete: nextJobOf(this.jobs, body.onComplete, '/onComplete'),
      onSuccess: nextJobOf(this.jobs, body.onSuccess, '/onSuccess'),
    });
    reply.header('location', `/batches/${made.id}`);
    if (!isNew) reply.status(200);
    return made;
  }

  @Get(':id')
  @ApiParam({ name: 'id', format: 'uuid' })
  @ApiOperation({ summary: 'Look at a batch: its jobs by state' })
  @ApiResponse({ status: 200, ...batch })
  @ApiResponse({ status: 404, description: 'No batch has this id' })
  async show(@Param('id') id: string, @Res({ passthrough: true }) reply: FastifyReply): Promise<BatchView> {
    const found = await this.find(id);
    if (!found.completedAt) reply.header('retry-after', 1);
    return found;
  }

  @AuditedPost(':id/cancel', 'batch.cancel')
  @ApiParam({ name: 'id', format: 'uuid' })
  @ApiOperation({
    summary: 'Cancel what of a batch has not ended',
    description: 'Jobs that wait are cancelled at once; those that run are told within a second.',
  })
  @ApiResponse({ status: 200, ...batch })
  @ApiResponse({ status: 404, description: 'No batch has this id' })
  @ApiResponse({ status: 409, description: 'Every job has ended' })
  async cancel(@Param('id') id: string): Promise<BatchView> {
    await this.find(id);
    if (await this.records.cancel(id)) return this.find(id);
    throw new ProblemException(409, 'not-cancellable', 'The batch is complete: every job of it has ended');
  }

  private async find(id: string): Promise<BatchView> {
    const found = Id.safeParse(id).success ? await this.records.find(id) : undefined;
    if (!found) throw new ProblemException(404, 'unknown-batch', 'No batch has this id');
    return found;
  }
}

/** All that the api has of batches. */
@Module({ imports: [BatchesModule], controllers: [BatchesController] })
export class BatchesHttpModule {}
