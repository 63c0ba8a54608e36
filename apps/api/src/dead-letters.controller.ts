import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { ApiBearerAuth, ApiBody, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import { DeadRecords } from '#records';
import { DeadLettersBody, Fits } from './requests.js';

const body = {
  schema: {
    type: 'object',
    properties: {
      queue: { type: 'string' },
      name: { type: 'string' },
      ids: { type: 'array', maxItems: 10_000, items: { type: 'string', format: 'uuid' } },
      error: { type: 'string', description: "Part of the last error's message" },
    },
  },
};
const counted = {
  status: 200,
  schema: { type: 'object', properties: { count: { type: 'integer' } } },
};

/** Many dead letters at once: all, or those that a filter names. Killed half-way, the same call goes on with the rest. */
@ApiTags('dead letters')
@ApiBearerAuth()
@Controller('dead-letters')
export class DeadLettersController {
  constructor(private readonly dead: DeadRecords) {}

  @Post('replay')
  @HttpCode(200)
  @ApiOperation({ summary: 'Send dead letters back to work' })
  @ApiBody(body)
  @ApiResponse(counted)
  async replay(@Body(new Fits(DeadLettersBody)) filter: DeadLettersBody): Promise<{ count: number }> {
    return { count: await this.dead.replay(filter) };
  }

  @Post('discard')
  @HttpCode(200)
  @ApiOperation({ summary: 'Give dead letters up for good' })
  @ApiBody(body)
  @ApiResponse(counted)
  async discard(@Body(new Fits(DeadLettersBody)) filter: DeadLettersBody): Promise<{ count: number }> {
    return { count: await this.dead.discard(filter) };
  }
}
