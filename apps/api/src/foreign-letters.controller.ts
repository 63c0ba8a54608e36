import { Body, Controller, Get, HttpCode, Post, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiBody, ApiOperation, ApiQuery, ApiResponse, ApiTags } from '@nestjs/swagger';
import { ForeignLetters, type ForeignLetterView, showBody } from '#records';
import { Deed } from './deed.js';
import { Fits, ForeignLettersBody, ForeignLettersQuery } from './requests.js';

/** A foreign letter as clients see it. */
interface Letter extends Omit<ForeignLetterView, 'body'> {
  /** The first 4 KiB, as text where they are text. */
  body: string;
  encoding: 'utf8' | 'hex';
}

const meant = {
  schema: {
    type: 'object',
    properties: {
      queue: { type: 'string' },
      ids: { type: 'array', maxItems: 10_000, items: { type: 'string' } },
      all: { type: 'boolean', enum: [true] },
    },
  },
};
const wished = {
  status: 202,
  description: 'How many letters, copies counted. A worker does it within seconds.',
  schema: { type: 'object', properties: { count: { type: 'integer' } } },
};

/**
 * Messages that no record stands for, because they could not be understood or no queue took them. They lie in the
 * broker; a worker finds them there, and does what is wished here.
 */
@ApiTags('dead letters')
@ApiBearerAuth()
@Controller('dead-letters/foreign')
export class ForeignLettersController {
  constructor(private readonly letters: ForeignLetters) {}

  @Get()
  @ApiOperation({ summary: 'List messages that no record stands for' })
  @ApiQuery({ name: 'queue', required: false })
  @ApiQuery({
    name: 'limit',
    required: false,
    schema: { type: 'integer', minimum: 1, maximum: 1000, default: 50 },
  })
  @ApiQuery({ name: 'cursor', required: false, description: 'The `next` of the page before' })
  @ApiResponse({
    status: 200,
    schema: {
      type: 'object',
      properties: {
        items: { type: 'array', items: { $ref: '#/components/schemas/ForeignLetter' } },
        next: { anyOf: [{ type: 'string' }, { type: 'null' }] },
      },
    },
  })
  async list(
    @Query(new Fits(ForeignLettersQuery, 400)) { queue, limit, cursor }: ForeignLettersQuery,
  ): Promise<{ items: Letter[]; next: string | null }> {
    const letters = await this.letters.list({ queue }, { limit, after: cursor });
    const last = letters.length === limit ? letters.at(-1) : undefined;
    return {
      items: letters.map(({ body, ...letter }) => ({ ...letter, ...showBody(body) })),
      next: last ? Buffer.from(`${last.queue}\n${last.id}`).toString('base64url') : null,
    };
  }

  @Post('replay')
  @Deed('foreign-letters.replay')
  @HttpCode(202)
  @ApiOperation({ summary: 'Publish such messages again to the queue that they came from' })
  @ApiBody(meant)
  @ApiResponse(wished)
  async replay(
    @Body(new Fits(ForeignLettersBody)) { queue, ids }: ForeignLettersBody,
  ): Promise<{ count: number }> {
    return { count: await this.letters.wish('replay', { queue, ids }) };
  }

  @Post('discard')
  @Deed('foreign-letters.discard')
  @HttpCode(202)
  @ApiOperation({ summary: 'Throw such messages away' })
  @ApiBody(meant)
  @ApiResponse(wished)
  async discard(
    @Body(new Fits(ForeignLettersBody)) { queue, ids }: ForeignLettersBody,
  ): Promise<{ count: number }> {
    return { count: await this.letters.wish('discard', { queue, ids }) };
  }
}
