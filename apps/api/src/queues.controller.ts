import { Controller, Get, Param } from '@nestjs/common';
import { ApiBearerAuth, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { AuditedPost, ProblemException } from '#http';
import { Contracts } from '#jobs';
import { Broker } from '#rabbitmq';
import { QueueStore } from '#records';
import { Count, QueueView } from '#resources';

const Queue = QueueView.extend({
  ready: Count.describe('The same as `queued`'),
  consumers: Count.nullable().describe(
    'Workers that take its jobs, as the broker counts them; null when no broker answers',
  ),
}).meta({ id: 'Queue' });
type Queue = z.output<typeof Queue>;

const shown = (description: string) => ({
  status: 200,
  description,
  standardSchema: Queue,
});
const unknown = { status: 404, description: 'No contract has a queue of this name' };

/** What waits, runs and has failed, by queue, as the records say; and whether a queue is served at all. */
@ApiTags('queues')
@ApiBearerAuth()
@Controller('queues')
export class QueuesController {
  constructor(
    private readonly contracts: Contracts,
    private readonly queues: QueueStore,
    private readonly broker: Broker,
  ) {}

  @Get()
  @ApiOperation({ summary: 'Count the jobs of each queue by state' })
  @ApiResponse({ status: 200, standardSchema: z.strictObject({ items: z.array(Queue) }) })
  async list(): Promise<{ items: Queue[] }> {
    const views = await this.queues.list(this.contracts.queues.keys());
    return { items: await Promise.all(views.map((view) => this.show(view))) };
  }

  @AuditedPost(':queue/pause', 'queue.pause')
  @ApiOperation({
    summary: 'Pause a queue',
    description: 'Within a second no worker takes jobs of it any more. What runs goes on to its end.',
  })
  @ApiResponse(shown('The queue'))
  @ApiResponse(unknown)
  async pause(@Param('queue') queue: string): Promise<Queue> {
    this.mustExist(queue);
    await this.queues.pause(queue);
    return this.find(queue);
  }

  @AuditedPost(':queue/resume', 'queue.resume')
  @ApiOperation({ summary: 'Resume a queue' })
  @ApiResponse(shown('The queue'))
  @ApiResponse(unknown)
  async resume(@Param('queue') queue: string): Promise<Queue> {
    this.mustExist(queue);
    await this.queues.resume(queue);
    return this.find(queue);
  }

  private async find(queue: string): Promise<Queue> {
    const views = await this.queues.list([queue]);
    return this.show(views.find((view) => view.queue === queue) as QueueView);
  }

  private async show(view: QueueView): Promise<Queue> {
    const consumers = (await this.broker.countConsumers(view.queue)) ?? null;
    return { ...view, ready: view.queued, consumers };
  }

  private mustExist(queue: string): void {
    if (this.contracts.queues.has(queue)) return;
    throw new ProblemException(404, 'unknown-queue', 'No contract has a queue of this name');
  }
}
