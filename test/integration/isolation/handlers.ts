import { isMainThread, threadId } from 'node:worker_threads';
import {
  type CallHandler,
  type CanActivate,
  type ExecutionContext,
  Inject,
  Injectable,
  Logger,
  Module,
  type NestInterceptor,
  type OnApplicationShutdown,
  type PipeTransform,
  Scope,
  UseGuards,
  UseInterceptors,
} from '@nestjs/common';
import { REQUEST } from '@nestjs/core';
import { Payload } from '@nestjs/microservices';
import { map, type Observable } from 'rxjs';
import { z } from 'zod';
import { IsolatedJobsModule } from '#isolation';
import {
  defineJob,
  type Handler,
  isIsolated,
  type JobContext,
  JobHandler,
  Jobs,
  NonRetryableError,
  RetryAfterError,
  secret,
  snooze,
} from '#jobs';
import { OddIsolated, OddIsolatedHandler, OddPlain, OddPlainHandler } from './odd-handlers.js';

const none = z.object({});
const once = { queue: 'isolated', retry: [] } as const;
/** Long enough for what these handlers do in a thread that stands ready, before they go on for ever. */
const timeout = '1500ms';

/** Computes and never ends. */
export const Spin = defineJob({ ...once, name: 'isolated.spin', payload: none, timeout });
@JobHandler(Spin, { isolated: true })
export class SpinHandler {
  handle({ log, progress }: JobContext<typeof Spin>): never {
    log.info('spinning');
    progress(0.5, 'spinning');
    for (;;);
  }
}

/** Logs so many lines without a pause. */
export const Chatter = defineJob({
  ...once,
  name: 'isolated.chatter',
  payload: z.object({ lines: z.int(), card: secret(z.string()) }),
});
@JobHandler(Chatter, { isolated: true })
export class ChatterHandler {
  handle({ payload: { lines, card }, log }: JobContext<typeof Chatter>) {
    for (let line = 1; line <= lines; line++)
      log.info({ line, at: Date.now() }, `${card} ${'x'.repeat(1_000)}`);
  }
}

/** Tells where it runs. */
export const Where = defineJob({
  ...once,
  name: 'isolated.where',
  payload: z.object({ day: z.coerce.date() }),
  version: 2,
  upgrade: { 1: (old) => ({ day: old.at }) },
  renamedFrom: 'isolated.place',
});
@JobHandler(Where, { isolated: true })
export class WhereHandler {
  handle({ payload, log, progress, createdAt, attempt }: JobContext<typeof Where>) {
    progress(0.25, 'a quarter');
    log.child({ child: true }).warn({ err: new Error('on the way') }, 'half way');
    progress(0.5, 'half');
    return {
      threadId,
      isMainThread,
      attempt,
      year: payload.day.getUTCFullYear(),
      dated: createdAt instanceof Date,
    };
  }
}

/** Fills so many megabytes of its heap. */
export const Fill = defineJob({
  ...once,
  name: 'isolated.fill',
  payload: z.object({ megabytes: z.int(), fails: z.boolean() }),
});
@JobHandler(Fill, { isolated: true })
export class FillHandler {
  handle({ payload: { megabytes, fails } }: JobContext<typeof Fill>) {
    const heap = Array.from({ length: megabytes }, (_, n) => new Array(131_072).fill(n + 0.5));
    if (fails) throw new Error(`${heap.length} are enough`);
    return heap.length;
  }
}

/** Waits for its signal, and obeys it or not. */
export const Wait = defineJob({
  ...once,
  name: 'isolated.wait',
  payload: z.object({ obeys: z.boolean() }),
  timeout,
});
@JobHandler(Wait, { isolated: true })
export class WaitHandler {
  async handle({ payload, signal, log }: JobContext<typeof Wait>) {
    await new Promise((_, reject) => {
      const alive = setInterval(() => {}, 1_000);
      signal.addEventListener('abort', () => {
        log.info({ threadId }, `heard ${signal.reason.name}`);
        if (!payload.obeys) return;
        clearInterval(alive);
        reject(signal.reason);
      });
    });
  }
}

export class PaymentDeclined extends NonRetryableError {
  override readonly name: string = 'PaymentDeclined';
  readonly code = 'DECLINED';
}

/** Ends in each of the ways in which a handler can. */
export const End = defineJob({ ...once, name: 'isolated.end', payload: z.object({ how: z.string() }) });
@JobHandler(End, { isolated: true })
export class EndHandler {
  async handle({ payload, attempt }: JobContext<typeof End>): Promise<unknown> {
    switch (payload.how) {
      case 'non-retryable':
        throw new PaymentDeclined('insufficient funds', { cause: new Error('the card') });
      case 'type-error':
        return (undefined as unknown as { missing(): void }).missing();
      case 'text':
        throw 'only text';
      case 'snooze':
        return snooze('1h');
      case 'function':
        return { attempt: () => attempt };
      case 'exit':
        process.exit(7);
        break;
      case 'uncaught':
        setTimeout(() => {
          throw new RangeError('nobody caught this');
        });
        return new Promise((resolve) => setTimeout(resolve, 60_000));
      case 'memory':
        for (const kept: number[][] = []; ; ) kept.push(new Array(1_000).fill(Math.random()));
      case 'left behind':
        setTimeout(() => Promise.reject(new Error('left behind')), 1_000);
        return 'done';
      case 'left unseen':
        // A timer that keeps no process alive, such as libraries have.
        setTimeout(() => raise('left unseen'), 300).unref();
        return 'done';
      case 'outlast':
        await new Promise((resolve) => setTimeout(resolve, 900));
        return threadId;
    }
  }
}

/** Has little time. */
export const Quick = defineJob({ ...once, name: 'isolated.quick', payload: none, timeout });
@JobHandler(Quick, { isolated: true })
export class QuickHandler {
  handle() {}
}

/** Chooses when to be tried again. */
export const EndLater = defineJob({ name: 'isolated.end-later', queue: 'isolated', payload: none });
@JobHandler(EndLater, { isolated: true })
export class EndLaterHandler {
  handle(): never {
    throw new RetryAfterError('7d', 'come back in a week');
  }
}

@Injectable()
class OnlyShort implements CanActivate {
  canActivate(context: ExecutionContext) {
    return context.switchToRpc().getData<JobContext<typeof Nested>>().payload.text.length < 5;
  }
}
class Shout implements NestInterceptor {
  intercept(_: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(map((result) => ({ ...result, shouted: `${result.text}!` })));
  }
}
class Upper implements PipeTransform {
  transform({ text }: { text: string }) {
    return text.toUpperCase();
  }
}
@Injectable({ scope: Scope.REQUEST })
class Request {
  constructor(@Inject(REQUEST) readonly request: { data: JobContext }) {}
}
/** Has everything about it that Nest offers. */
export const Nested = defineJob({
  ...once,
  name: 'isolated.nested',
  payload: z.object({ text: z.string() }),
});
@UseGuards(OnlyShort)
@UseInterceptors(Shout)
@JobHandler(Nested, { isolated: true, scope: Scope.REQUEST })
export class NestedHandler {
  constructor(private readonly request: Request) {}

  // biome-ignore lint/suspicious/noExplicitAny: with parameter decorators a handler takes what they give
  handle(@Payload('payload', Upper) text: any): any {
    return { text, name: this.request.request.data.name, isMainThread };
  }
}

/** Runs on the worker's own thread. */
export const Plain = defineJob({ name: 'plain.run', queue: 'plain', payload: none });
@JobHandler(Plain)
export class PlainHandler implements Handler<typeof Plain> {
  handle() {
    return { isMainThread };
  }
}

/** Enqueues a job that runs on the worker's own thread. */
export const Ask = defineJob({
  ...once,
  name: 'isolated.ask',
  payload: z.object({ how: z.enum(['wait', 'exit']) }),
});
@JobHandler(Ask, { isolated: true })
export class AskHandler {
  constructor(private readonly jobs: Jobs) {}

  async handle({ payload, signal }: JobContext<typeof Ask>) {
    const job = await this.jobs.enqueue(Plain, {}, { unique: { key: payload.how } });
    if (payload.how === 'exit') process.exit(7);
    return { asked: job.id, answer: await this.jobs.result(job, { timeout: '20s', signal }), isMainThread };
  }
}

/** Runs on the worker's own thread and takes no notice of its signal. */
export const Deaf = defineJob({ ...once, name: 'plain.deaf', queue: 'deaf', payload: none, timeout });
@JobHandler(Deaf)
export class DeafHandler {
  handle() {
    return new Promise<never>(() => {});
  }
}

const raise = (message: string) => {
  throw new Error(message);
};

export const contracts = [
  OddPlain,
  OddIsolated,
  Quick,
  Spin,
  Chatter,
  Where,
  Fill,
  Wait,
  End,
  EndLater,
  Nested,
  Plain,
  Ask,
  Deaf,
];
export const handlers = [
  OddPlainHandler,
  OddIsolatedHandler,
  QuickHandler,
  SpinHandler,
  ChatterHandler,
  WhereHandler,
  FillHandler,
  WaitHandler,
  EndHandler,
  EndLaterHandler,
  NestedHandler,
  PlainHandler,
  AskHandler,
  DeafHandler,
];
/** What the handlers inject. */
export const providers = [OnlyShort, Request];

@Injectable()
class ClosingLine implements OnApplicationShutdown {
  private readonly logger = new Logger(ClosingLine.name);
  onApplicationShutdown() {
    this.logger.log(`thread ${threadId} closed`);
  }
}

@Module({
  imports: [IsolatedJobsModule.forRoot({ contracts })],
  controllers: handlers.filter(isIsolated),
  providers: [...providers, ClosingLine],
})
export class IsolatedTestModule {}
