import { Controller, Get } from '@nestjs/common';
import { ApiBearerAuth, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import { WorkerRecords, type WorkerView } from '#records';

/** The worker processes that are alive. */
@ApiTags('workers')
@ApiBearerAuth()
@Controller('workers')
export class WorkersController {
  constructor(private readonly workers: WorkerRecords) {}

  @Get()
  @ApiOperation({ summary: 'List the workers that are alive, and what each runs now' })
  @ApiResponse({
    status: 200,
    schema: {
      type: 'object',
      properties: { items: { type: 'array', items: { $ref: '#/components/schemas/Worker' } } },
    },
  })
  async list(): Promise<{ items: WorkerView[] }> {
    return { items: await this.workers.list() };
  }
}
