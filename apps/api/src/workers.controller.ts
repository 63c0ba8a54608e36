import { Controller, Get, Param } from '@nestjs/common';
import { ApiBearerAuth, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { AuditedPost, ProblemException } from '#http';
import { WorkerStore } from '#records';
import { type WorkerState, WorkerView } from '#resources';

const shown = { status: 200, description: 'The worker', standardSchema: WorkerView };
const unknown = { status: 404, description: 'No worker with this id or name is alive' };
const stops = { status: 409, description: 'The worker is about to stop' };

/** The worker processes that are alive, and what is asked of them. */
@ApiTags('workers')
@ApiBearerAuth()
@Controller('workers')
export class WorkersController {
  constructor(private readonly workers: WorkerStore) {}

  @Get()
  @ApiOperation({ summary: 'List the workers that are alive, and what each runs now' })
  @ApiResponse({ status: 200, standardSchema: z.strictObject({ items: z.array(WorkerView) }) })
  async list(): Promise<{ items: WorkerView[] }> {
    return { items: await this.workers.list() };
  }

  @AuditedPost(':worker/quiet', 'worker.quiet')
  @ApiOperation({
    summary: 'Make a worker quiet',
    description:
      'Within a second it takes no more jobs. What runs goes on to its end, and so does all else that it does.',
  })
  @ApiResponse(shown)
  @ApiResponse(unknown)
  @ApiResponse(stops)
  quiet(@Param('worker') worker: string): Promise<WorkerView> {
    return this.ask(worker, 'quiet');
  }

  @AuditedPost(':worker/unquiet', 'worker.unquiet')
  @ApiOperation({ summary: 'Let a quiet worker take jobs again' })
  @ApiResponse(shown)
  @ApiResponse(unknown)
  @ApiResponse(stops)
  unquiet(@Param('worker') worker: string): Promise<WorkerView> {
    return this.ask(worker, 'working');
  }

  @AuditedPost(':worker/stop', 'worker.stop')
  @ApiOperation({
    summary: 'Stop a worker',
    description: 'It ends as at SIGTERM. What watches over it may start another one.',
  })
  @ApiResponse(shown)
  @ApiResponse(unknown)
  stop(@Param('worker') worker: string): Promise<WorkerView> {
    return this.ask(worker, 'stopping');
  }

  private async ask(which: string, state: WorkerState): Promise<WorkerView> {
    const worker = await this.workers.ask(which, state);
    if (!worker) throw new ProblemException(404, 'unknown-worker', unknown.description);
    if (worker.state === 'stopping' && state !== 'stopping')
      throw new ProblemException(409, 'worker-stopping', stops.description);
    return { ...worker, state };
  }
}
