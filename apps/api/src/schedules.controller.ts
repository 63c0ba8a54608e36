import { Controller, Get, Module, Param, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { AuditedPost, ProblemException } from '#http';
import { JobView } from '#resources';
import { ScheduleMetrics, Schedules, SchedulesModule, ScheduleView } from '#schedules';

/** Recurring jobs over HTTP, as the workers have declared them. */
@ApiTags('schedules')
@ApiBearerAuth()
@Controller('schedules')
export class SchedulesController {
  constructor(private readonly schedules: Schedules) {}

  @Get()
  @ApiOperation({ summary: 'List the schedules, each with its next five ticks' })
  @ApiResponse({ status: 200, standardSchema: z.strictObject({ items: z.array(ScheduleView) }) })
  async list(): Promise<{ items: ScheduleView[] }> {
    return { items: await this.schedules.list() };
  }

  @AuditedPost(':name/run', 'schedule.run', 202)
  @ApiOperation({ summary: "Enqueue a schedule's job now", description: 'Its ticks stay as they are.' })
  @ApiResponse({
    status: 202,
    description: 'The job; Location says where to look at it',
    standardSchema: JobView,
  })
  @ApiResponse({ status: 404, description: 'No schedule has this name' })
  @ApiResponse({ status: 409, description: 'The schedule is disabled' })
  async run(@Param('name') name: string, @Res({ passthrough: true }) reply: FastifyReply): Promise<JobView> {
    await this.find(name);
    const job = await this.schedules.run(name);
    if (!job) {
      throw new ProblemException(
        409,
        'schedule-disabled',
        'The schedule is disabled: the workers do not declare it any more',
      );
    }
    reply.header('location', `/jobs/${job.id}`);
    return job;
  }

  @AuditedPost(':name/pause', 'schedule.pause')
  @ApiOperation({ summary: 'Let no tick of a schedule fire until it is resumed' })
  @ApiResponse({ status: 200, description: 'The schedule', standardSchema: ScheduleView })
  @ApiResponse({ status: 404, description: 'No schedule has this name' })
  async pause(@Param('name') name: string): Promise<ScheduleView> {
    await this.schedules.pause(name);
    return this.find(name);
  }

  @AuditedPost(':name/resume', 'schedule.resume')
  @ApiOperation({
    summary: 'Let a schedule fire again',
    description: 'From its next tick on; what fell into the pause is not made up for.',
  })
  @ApiResponse({ status: 200, description: 'The schedule', standardSchema: ScheduleView })
  @ApiResponse({ status: 404, description: 'No schedule has this name' })
  async resume(@Param('name') name: string): Promise<ScheduleView> {
    await this.schedules.resume(name);
    return this.find(name);
  }

  private async find(name: string): Promise<ScheduleView> {
    const schedule = await this.schedules.find(name);
    if (!schedule) throw new ProblemException(404, 'unknown-schedule', 'No schedule has this name');
    return schedule;
  }
}

/** All that the api has of schedules. */
@Module({ imports: [SchedulesModule], controllers: [SchedulesController], providers: [ScheduleMetrics] })
export class SchedulesHttpModule {}
