import { Controller, Get } from '@nestjs/common';
import { ApiBearerAuth, ApiOperation, ApiTags } from '@nestjs/swagger';
import { Contracts } from '#jobs';
import { type JobState, Views } from '#records';

type Counts = Record<Exclude<JobState, 'succeeded' | 'cancelled' | 'discarded'>, number>;

/** What waits, runs and has failed, by queue, as the records say. */
@ApiTags('queues')
@ApiBearerAuth()
@Controller('queues')
export class QueuesController {
  constructor(
    private readonly contracts: Contracts,
    private readonly views: Views,
  ) {}

  @Get()
  @ApiOperation({ summary: 'Count the jobs of each queue by state' })
  async list(): Promise<{ items: ({ queue: string } & Counts)[] }> {
    const counts = await this.views.countByQueue();
    const of = (queue: string, state: JobState) =>
      counts.find((row) => row.queue === queue && row.state === state)?.count ?? 0;
    const queues = new Set([...this.contracts.queues.keys(), ...counts.map(({ queue }) => queue)]);
    return {
      items: [...queues].sort().map((queue) => ({
        queue,
        scheduled: of(queue, 'scheduled'),
        queued: of(queue, 'queued'),
        running: of(queue, 'running'),
        retrying: of(queue, 'retrying'),
        dead: of(queue, 'dead'),
      })),
    };
  }
}
