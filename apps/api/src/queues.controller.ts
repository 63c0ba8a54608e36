import { Controller, Get, Param } from '@nestjs/common';
import { ApiBearerAuth, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { AuditedPost, ProblemException } from '#http';
import { Queues } from '#jobs';
import { QueueStore } from '#records';
import { Queue } from '#resources';

const shown = (description: string) => ({
  status: 200,
  description,
  standardSchema: Queue,
});
const unknown = { status: 404, description: 'No contract and no job has a queue of this name' };

/** What waits, runs and has failed, by queue, as the records say; and whether a queue is served at all. */
@ApiTags('queues')
@ApiBearerAuth()
@Controller('queues')
export class QueuesController {
  constructor(
    private readonly queues: Queues,
    private readonly store: QueueStore,
  ) {}

  @Get()
  @ApiOperation({ summary: 'Count the jobs of each queue by state' })
  @ApiResponse({ status: 200, standardSchema: z.strictObject({ items: z.array(Queue) }) })
  async list(): Promise<{ items: Queue[] }> {
    return { items: await this.queues.list() };
  }

  @AuditedPost(':queue/pause', 'queue.pause')
  @ApiOperation({
    summary: 'Pause a queue',
    description: 'Within a second no worker takes jobs of it any more. What runs goes on to its end.',
  })
  @ApiResponse(shown('The queue'))
  @ApiResponse(unknown)
  pause(@Param('queue') queue: string): Promise<Queue> {
    return this.change(queue, 'pause');
  }

  @AuditedPost(':queue/resume', 'queue.resume')
  @ApiOperation({ summary: 'Resume a queue' })
  @ApiResponse(shown('The queue'))
  @ApiResponse(unknown)
  resume(@Param('queue') queue: string): Promise<Queue> {
    return this.change(queue, 'resume');
  }

  /** Any queue that is listed: jobs may wait in one that no contract has any more. */
  private async change(name: string, action: 'pause' | 'resume'): Promise<Queue> {
    const found = (await this.queues.list()).find(({ queue }) => queue === name);
    if (!found) throw new ProblemException(404, 'unknown-queue', unknown.description);
    await this.store[action](name);
    return { ...found, paused: action === 'pause' };
  }
}
