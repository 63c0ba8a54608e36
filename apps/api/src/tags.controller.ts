import { Controller, Get } from '@nestjs/common';
import { ApiBearerAuth, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { z } from 'zod';
import { JobSearch } from '#records';
import { TagsAnswer } from './requests.js';

@ApiTags('jobs')
@ApiBearerAuth()
@Controller('tags')
export class TagsController {
  constructor(private readonly search: JobSearch) {}

  @Get()
  @ApiOperation({
    summary: 'Count jobs by their tags',
    description: 'Of the newest 10,000 jobs that have some; at most 200 tags, those of most jobs first.',
  })
  @ApiResponse({ status: 200, standardSchema: TagsAnswer })
  list(): Promise<z.output<typeof TagsAnswer>> {
    return this.search.tags();
  }
}
