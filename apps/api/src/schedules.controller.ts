import { Body, Controller, Get, Module, Param, Query, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { type Duration, toMilliseconds } from '#config';
import {
  AuditedDelete,
  AuditedPost,
  AuditedPut,
  type ContractsOf,
  named,
  OfContracts,
  ProblemException,
  text,
} from '#http';
import { ContractError, Jobs } from '#jobs';
import { JobView } from '#resources';
import {
  MAX_LISTED,
  missedPolicies,
  overlapPolicies,
  ScheduleMetrics,
  ScheduleOfCodeError,
  Schedules,
  SchedulesModule,
  ScheduleView,
} from '#schedules';
import { Tags } from './requests.js';

const ScheduleBody = z
  .strictObject({
    cron: z
      .string()
      .min(1)
      .meta({ examples: ['30 2 * * *'] }),
    timeZone: z
      .string()
      .optional()
      .meta({ examples: ['Europe/Berlin'], default: 'UTC' }),
    job: z.string().min(1).describe('The contract of its jobs'),
    payload: z.unknown(),
    missed: z.enum(missedPolicies).optional(),
    overlap: z.enum(overlapPolicies).optional(),
    jitter: z
      .custom<Duration>(isDuration, 'must be a duration such as "30s"')
      .optional()
      .meta({ type: 'string' }),
    tags: Tags,
  })
  .meta({ id: 'ScheduleBody' });
type ScheduleBody = z.output<typeof ScheduleBody>;

function isDuration(value: unknown): boolean {
  try {
    return toMilliseconds(value as Duration) >= 0;
  } catch {
    return false;
  }
}

const ListQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(MAX_LISTED).default(MAX_LISTED),
  cursor: text(100).optional().describe('The `next` of the page before'),
});
const SchedulesPage = z.strictObject({
  items: z.array(ScheduleView),
  next: z.string().nullable().describe('The `cursor` of the next page'),
});

/** That of the schedule in the path, and the one that it is to have. */
const ofSchedule: ContractsOf = async (request, modules) => {
  const { name } = request.params as { name: string };
  const schedule = await modules.get(Schedules, { strict: false }).find(name);
  const wanted = (await named(request, modules)) ?? [];
  const all = schedule ? [schedule.job, ...wanted] : wanted;
  return all.length > 0 ? all : undefined;
};

const unknown = () => new ProblemException(404, 'unknown-schedule', 'No schedule has this name');

function refuse(error: Error): never {
  if (error instanceof ScheduleOfCodeError)
    throw new ProblemException(409, 'schedule-of-code', error.message);
  if (error instanceof ContractError) throw new ProblemException(422, 'request-does-not-fit', error.message);
  throw error;
}

/** Recurring jobs over HTTP: those that the workers have declared, and those made here. */
@ApiTags('schedules')
@ApiBearerAuth()
@Controller('schedules')
export class SchedulesController {
  constructor(
    private readonly schedules: Schedules,
    private readonly jobs: Jobs,
  ) {}

  @Get()
  @ApiOperation({ summary: 'List the schedules by name, each with its next five ticks' })
  @ApiResponse({ status: 200, standardSchema: SchedulesPage })
  async list(
    @Query({ schema: ListQuery }) { cursor, limit }: z.output<typeof ListQuery>,
  ): Promise<z.output<typeof SchedulesPage>> {
    const items = await this.schedules.list({ after: cursor, limit });
    return { items, next: items.length === limit ? (items.at(-1)?.name ?? null) : null };
  }

  @AuditedPut(':name', 'schedule.put')
  @OfContracts(ofSchedule)
  @ApiOperation({
    summary: 'Make a schedule, or change one that was made so',
    description:
      'Beside those that the workers declare, which cannot be changed. Only a new cron expression or time zone changes its next tick.',
  })
  @ApiResponse({ status: 200, description: 'The schedule', standardSchema: ScheduleView })
  @ApiResponse({ status: 201, description: 'The schedule, which is new', standardSchema: ScheduleView })
  @ApiResponse({ status: 404, description: 'No contract has this name' })
  @ApiResponse({ status: 409, description: "The workers' code declares it" })
  @ApiResponse({ status: 422, description: 'Something of it cannot be used; the errors say what' })
  async put(
    @Param('name') name: string,
    @Body({ schema: ScheduleBody }) { job, ...rest }: ScheduleBody,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ScheduleView> {
    const contract = this.jobs.contract(job);
    const isNew = await this.schedules.put({ ...rest, name, job: contract }).catch(refuse);
    if (isNew) reply.status(201);
    return this.find(name);
  }

  @AuditedDelete(':name', 'schedule.delete')
  @OfContracts(ofSchedule)
  @ApiOperation({
    summary: 'Delete a schedule that the workers do not declare',
    description: 'Its jobs stay.',
  })
  @ApiResponse({ status: 204, description: 'It is gone' })
  @ApiResponse({ status: 404, description: 'No schedule has this name' })
  @ApiResponse({ status: 409, description: "The workers' code declares it" })
  async delete(@Param('name') name: string): Promise<void> {
    if (!(await this.schedules.delete(name).catch(refuse))) throw unknown();
  }

  @AuditedPost(':name/run', 'schedule.run', 202)
  @OfContracts(ofSchedule)
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
  @OfContracts(ofSchedule)
  @ApiOperation({ summary: 'Let no tick of a schedule fire until it is resumed' })
  @ApiResponse({ status: 200, description: 'The schedule', standardSchema: ScheduleView })
  @ApiResponse({ status: 404, description: 'No schedule has this name' })
  async pause(@Param('name') name: string): Promise<ScheduleView> {
    await this.schedules.pause(name);
    return this.find(name);
  }

  @AuditedPost(':name/resume', 'schedule.resume')
  @OfContracts(ofSchedule)
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
    if (!schedule) throw unknown();
    return schedule;
  }
}

/** All that the api has of schedules. */
@Module({ imports: [SchedulesModule], controllers: [SchedulesController], providers: [ScheduleMetrics] })
export class SchedulesHttpModule {}
