import { Controller, Get } from '@nestjs/common';
import { ApiBearerAuth, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { WorkerStore } from '#records';
import { WorkerView } from '#resources';

/** The worker processes that are alive. */
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
}
