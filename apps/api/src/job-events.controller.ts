import { Controller, Get, Headers, Param, Req, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiHeader, ApiOperation, ApiParam, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { announceEvents, jobInPath, OfContracts, ProblemException } from '#http';
import { JobWatcher } from '#jobs';
import { hasEnded, isAfter, JobQueries } from '#records';
import { Id } from '#resources';
import { JobEvents } from './job-events.js';

/** What becomes of a job, told as it happens. */
@ApiTags('jobs')
@ApiBearerAuth()
@OfContracts(jobInPath)
@Controller('jobs/:id/events')
export class JobEventsController {
  constructor(
    private readonly views: JobQueries,
    private readonly watcher: JobWatcher,
  ) {}

  @Get()
  @ApiParam({ name: 'id', format: 'uuid' })
  @ApiOperation({
    summary: 'Follow a job',
    description:
      'Server-sent events: `state` with every change of state so far and to come, and `progress`. The stream ends with the job.',
  })
  @ApiHeader({
    name: 'Last-Event-ID',
    required: false,
    description: 'The id of the event that came last: goes on after it',
  })
  @ApiResponse({ status: 200, description: 'The events', content: { 'text/event-stream': {} } })
  @ApiResponse({ status: 204, description: 'The job has ended and its last event came before' })
  @ApiResponse({ status: 404, description: 'No job has this id' })
  @ApiResponse({ status: 503, description: 'Too many follow jobs at the moment' })
  async follow(
    @Param('id') id: string,
    @Headers('last-event-id') header: string | undefined,
    @Req() { method }: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const [job] = Id.safeParse(id).success ? await this.views.changed(new Map([[id, '']])) : [];
    if (!job) throw new ProblemException(404, 'unknown-job', 'No job has this id');
    const newest = job.history.at(-1)?.id ?? '';
    // An id that is none of ours compares with nothing: such a client gets everything.
    const last =
      header && (isAfter(newest, header) || isAfter(header, newest) || header === newest) ? header : '';
    // By the standard this is what tells a browser not to connect again.
    if (hasEnded(job.state) && last === newest) return void reply.status(204).send();
    if (this.watcher.isFull)
      throw new ProblemException(
        503,
        'too-many-watchers',
        'Too many follow jobs at the moment; ask for the job itself',
      );

    announceEvents(reply);
    if (method === 'HEAD') return void reply.send();
    const events = new JobEvents(last);
    events.once('close', this.watcher.watch(job.id, events));
    events.tell(job);
    reply.send(events);
  }
}
