import { Body, Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import {
  ApiBearerAuth,
  ApiBody,
  ApiOperation,
  ApiParam,
  ApiQuery,
  ApiResponse,
  ApiTags,
} from '@nestjs/swagger';
import { Audited, Id, ProblemException } from '#http';
import { type DeadGroup, DeadRecords, type Done, type JobView, type MessageView, Views } from '#records';
import { DeadLettersBody, DeadLettersQuery, Fits, ReplayBody } from './requests.js';

const time = { type: 'string', format: 'date-time' };
const filterSchema = {
  queue: { type: 'string' },
  name: { type: 'string' },
  error: { type: 'string', description: "Part of the first 300 characters of the last error's message" },
  errorForm: { type: 'string', description: 'The whole of it, as the groups show it' },
  from: { ...time, description: 'Died then or later' },
  to: { ...time, description: 'Died before then' },
};
const ids = { type: 'array', maxItems: 10_000, items: { type: 'string', format: 'uuid' } };
const perSecondSchema = {
  ...{ type: 'integer', minimum: 1, maximum: 100_000, default: 1_000 },
  description: 'Jobs that come back in each second; the others are scheduled',
};
const counted = {
  status: 200,
  schema: { type: 'object', properties: { count: { type: 'integer' } } },
};

const leftOut = {
  type: 'integer',
  description: 'Those whose unique key another job holds, if any: they stay dead',
};
const replayed = {
  status: 200,
  schema: { type: 'object', properties: { ...counted.schema.properties, leftOut } },
};

/** Dead letters, many at once: all, or those that a filter names. Killed half-way, the same call goes on with the rest. */
@ApiTags('dead letters')
@ApiBearerAuth()
@Controller('dead-letters')
export class DeadLettersController {
  constructor(
    private readonly dead: DeadRecords,
    private readonly views: Views,
  ) {}

  @Get()
  @ApiOperation({
    summary: 'Count dead letters and what they died of',
    description:
      'At most 200 groups, the largest first. A group is a filter: with it, all of its letters are meant.',
  })
  @ApiQuery({ name: 'queue', required: false })
  @ApiQuery({ name: 'name', required: false })
  @ApiQuery({ name: 'error', required: false, description: filterSchema.error.description })
  @ApiQuery({ name: 'from', required: false, schema: time })
  @ApiQuery({ name: 'to', required: false, schema: time })
  @ApiResponse({
    status: 200,
    schema: {
      type: 'object',
      properties: {
        count: { type: 'integer' },
        groups: { type: 'array', items: { $ref: '#/components/schemas/DeadGroup' } },
      },
    },
  })
  list(
    @Query(new Fits(DeadLettersQuery, 400)) filter: DeadLettersQuery,
  ): Promise<{ count: number; groups: DeadGroup[] }> {
    return this.dead.groups(filter);
  }

  @Get(':id')
  @ApiParam({ name: 'id', format: 'uuid' })
  @ApiOperation({ summary: 'Look at a dead letter, a job or an unprocessable message' })
  @ApiResponse({
    status: 200,
    description: 'The job, and what was received when no job could be made of it',
    schema: {
      allOf: [
        { $ref: '#/components/schemas/Job' },
        {
          type: 'object',
          properties: { message: { anyOf: [{ $ref: '#/components/schemas/Message' }, { type: 'null' }] } },
        },
      ],
    },
  })
  @ApiResponse({ status: 404, description: 'No dead letter has this id' })
  async show(@Param('id') id: string): Promise<JobView & { message: MessageView | null }> {
    const job = Id.safeParse(id).success ? await this.views.find(id) : undefined;
    if (job?.state !== 'dead')
      throw new ProblemException(404, 'unknown-dead-letter', 'No dead letter has this id');
    return { ...job, message: await this.views.messageOf(job) };
  }

  @Post('replay')
  @Audited('dead-letters.replay')
  @HttpCode(200)
  @ApiOperation({ summary: 'Send dead letters back to work' })
  @ApiBody({ schema: { type: 'object', properties: { ...filterSchema, ids, perSecond: perSecondSchema } } })
  @ApiResponse(replayed)
  async replay(@Body(new Fits(ReplayBody)) { perSecond, ...filter }: ReplayBody): Promise<Done> {
    const { count, leftOut } = await this.dead.replayAll(filter, { perSecond });
    return leftOut > 0 ? { count, leftOut } : { count };
  }

  @Post('discard')
  @Audited('dead-letters.discard')
  @HttpCode(200)
  @ApiOperation({ summary: 'Give dead letters up for good' })
  @ApiBody({ schema: { type: 'object', properties: { ...filterSchema, ids } } })
  @ApiResponse(counted)
  async discard(@Body(new Fits(DeadLettersBody)) filter: DeadLettersBody): Promise<{ count: number }> {
    return { count: await this.dead.discard(filter) };
  }
}
