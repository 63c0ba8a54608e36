import { Get, type OnModuleDestroy, Param, Req, Res, ServiceUnavailableException } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { announceEvents, EventStream } from '#http';
import { JobWatcher } from '#jobs';
import { Id } from '#resources';
import { Board } from './board.js';
import { DashboardController } from './dashboard.guard.js';

const RECONNECT_MS = 2_000;
/** Each holds a connection open. */
const MAX_STREAMS = 500;

/** Tells pages when to load themselves again, by events without content: one way to make a page, with a script and without. */
@DashboardController()
export class EventsController implements OnModuleDestroy {
  private readonly streams = new Set<EventStream>();

  constructor(
    private readonly board: Board,
    private readonly jobs: JobWatcher,
  ) {}

  @Get('events')
  all(@Req() request: FastifyRequest, @Res() reply: FastifyReply): void {
    this.open(request, reply, (tell) => this.board.watch(tell));
  }

  @Get('jobs/:id/events')
  job(@Param('id') id: string, @Req() request: FastifyRequest, @Res() reply: FastifyReply): void {
    // No job has another id: such a stream stays silent.
    this.open(request, reply, (tell) =>
      Id.safeParse(id).success ? this.jobs.watch(id, { tell, stop: () => {} }) : () => {},
    );
  }

  /** Nest calls it first on SIGTERM: streams would keep the server from closing. */
  onModuleDestroy(): void {
    for (const stream of this.streams) stream.stop();
  }

  private open(
    { method }: FastifyRequest,
    reply: FastifyReply,
    watch: (tell: () => void) => () => void,
  ): void {
    if (this.streams.size >= MAX_STREAMS || this.jobs.isFull) throw new ServiceUnavailableException();
    announceEvents(reply);
    if (method === 'HEAD') return void reply.send();
    const stream = new EventStream(RECONNECT_MS);
    // What nobody reads is not told again: one event says as much as many.
    const unwatch = watch(() => stream.readableLength === 0 && stream.push('event: changed\ndata: 1\n\n'));
    this.streams.add(stream);
    stream.once('close', () => {
      unwatch();
      this.streams.delete(stream);
    });
    void reply.send(stream);
  }
}
