import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import {
  type ArgumentsHost,
  type CallHandler,
  type CanActivate,
  Catch,
  Controller,
  type ExceptionFilter,
  type ExecutionContext,
  Inject,
  Injectable,
  type NestInterceptor,
  type PipeTransform,
  Scope,
  UseFilters,
  UseGuards,
  UseInterceptors,
} from '@nestjs/common';
import { APP_FILTER, APP_GUARD, REQUEST } from '@nestjs/core';
import { EventPattern, Payload } from '@nestjs/microservices';
import { map, type Observable, throwError } from 'rxjs';
import { z } from 'zod';
import { defineJob, type Handler, type JobContext, JobHandler, NonRetryableError } from '#jobs';
import { JobQueries } from '#records';
import { eventually } from '#testing';
import {
  type Environment,
  givenEnvironment,
  givenProducerAndWorker,
  givenWorker,
  type Producer,
} from '#testing/services';

const payload = z.object({ text: z.string() });
const job = (name: string) => defineJob({ name, queue: 'nest', payload, retry: [] });
const Guarded = job('nest.guarded');
const Intercepted = job('nest.intercepted');
const Piped = job('nest.piped');
const Scoped = job('nest.scoped');
const Filtered = job('nest.filtered');
const GloballyFiltered = job('nest.globally-filtered');
const Throwing = job('nest.throwing');

@Injectable()
class OnlyShort implements CanActivate {
  canActivate(context: ExecutionContext) {
    return context.switchToRpc().getData<JobContext<typeof Guarded>>().payload.text.length < 5;
  }
}
@UseGuards(OnlyShort)
@JobHandler(Guarded)
class GuardedHandler implements Handler<typeof Guarded> {
  handle({ payload }: JobContext<typeof Guarded>) {
    return payload.text;
  }
}

class Shout implements NestInterceptor {
  intercept(_: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(map((text) => `${text}!`));
  }
}
@JobHandler(Intercepted)
@UseInterceptors(Shout)
class InterceptedHandler implements Handler<typeof Intercepted> {
  handle({ payload }: JobContext<typeof Intercepted>) {
    return payload.text;
  }
}

class Upper implements PipeTransform {
  transform({ text }: { text: string }) {
    return text.toUpperCase();
  }
}
@JobHandler(Piped)
class PipedHandler {
  // biome-ignore lint/suspicious/noExplicitAny: with parameter decorators a handler takes what they give
  handle(@Payload('payload', Upper) text: any) {
    return text;
  }
}

let requests = 0;
@Injectable({ scope: Scope.REQUEST })
class Request {
  readonly made = requests++;
  constructor(@Inject(REQUEST) readonly request: { data: JobContext }) {}
}
@JobHandler(Scoped, { scope: Scope.REQUEST })
class ScopedHandler implements Handler<typeof Scoped> {
  constructor(private readonly request: Request) {}
  handle({ id }: JobContext<typeof Scoped>) {
    return { made: this.request.made, same: this.request.request.data.id === id };
  }
}

class OwnError extends Error {}
@Catch(OwnError)
class Translate implements ExceptionFilter {
  catch(error: OwnError, _: ArgumentsHost) {
    return throwError(() => new NonRetryableError(`translated: ${error.message}`));
  }
}
@UseFilters(Translate)
@JobHandler(Filtered)
class FilteredHandler implements Handler<typeof Filtered> {
  handle() {
    throw new OwnError('own');
  }
}

class GlobalError extends Error {}
@Catch(GlobalError)
class TranslateGlobally implements ExceptionFilter {
  catch(error: GlobalError) {
    return throwError(() => new NonRetryableError(`globally: ${error.message}`));
  }
}
@JobHandler(GloballyFiltered)
class GloballyFilteredHandler implements Handler<typeof GloballyFiltered> {
  handle() {
    throw new GlobalError('mine');
  }
}

class PaymentDeclined extends NonRetryableError {
  override readonly name = 'PaymentDeclined';
}
@JobHandler(Throwing)
class ThrowingHandler implements Handler<typeof Throwing> {
  async handle() {
    throw new PaymentDeclined('insufficient funds', { cause: 'card' });
  }
}

const guarded: string[] = [];
@Injectable()
class GlobalGuard implements CanActivate {
  canActivate(context: ExecutionContext) {
    guarded.push(context.getType());
    return true;
  }
}

describe('Nest on handlers as on controllers', () => {
  const contracts = [Guarded, Intercepted, Piped, Scoped, Filtered, GloballyFiltered, Throwing];
  let producer: Producer;
  let close = async () => {};

  beforeAll(async () => {
    ({ producer, close } = await givenProducerAndWorker({
      contracts,
      handlers: [
        GuardedHandler,
        InterceptedHandler,
        PipedHandler,
        ScopedHandler,
        FilteredHandler,
        GloballyFilteredHandler,
        ThrowingHandler,
      ],
      providers: [
        OnlyShort,
        Request,
        { provide: APP_FILTER, useClass: TranslateGlobally },
        { provide: APP_GUARD, useClass: GlobalGuard },
      ],
    }));
  });
  afterAll(() => close());
  const run = async (contract: (typeof contracts)[number], text = 'ada') => {
    const { id } = await producer.jobs.enqueue(contract, { text });
    return eventually(async () => {
      const job = await producer.app.get(JobQueries).find(id);
      return job?.finishedAt ? job : undefined;
    });
  };

  test('a guard decides whether a handler runs', async () => {
    expect(await run(Guarded, 'ada')).toMatchObject({ state: 'succeeded', result: 'ada' });
    expect(await run(Guarded, 'too long')).toMatchObject({
      state: 'dead',
      error: { message: 'Forbidden resource' },
    });
  });
  test('a global guard is asked for jobs', async () => {
    await run(Intercepted);
    expect(guarded).toContain('rpc');
  });
  test('an interceptor changes the result', async () => {
    expect(await run(Intercepted)).toMatchObject({ state: 'succeeded', result: 'ada!' });
  });
  test('a pipe changes what a parameter gets', async () => {
    expect(await run(Piped)).toMatchObject({ state: 'succeeded', result: 'ADA' });
  });
  test('a request-scoped provider is made for each job, and sees it', async () => {
    const [first, second] = [await run(Scoped), await run(Scoped)];
    expect(first.result).toEqual({ made: expect.any(Number), same: true });
    expect(second.result).not.toEqual(first.result);
  });
  test("a filter of the handler's own comes before the worker's", async () => {
    expect(await run(Filtered)).toMatchObject({
      error: { class: 'NonRetryableError', message: 'translated: own' },
    });
  });
  test("a global filter comes before the worker's", async () => {
    expect(await run(GloballyFiltered)).toMatchObject({ error: { message: 'globally: mine' } });
  });
  test('the class of an error that a handler throws survives', async () => {
    const job = await run(Throwing);
    expect(job).toMatchObject({
      state: 'dead',
      error: { class: 'PaymentDeclined', message: 'insufficient funds' },
    });
    expect(job.error?.stack).toContain('ThrowingHandler');
  });
});

describe('A handler that Nest has nothing to wrap in is called directly', () => {
  const Bare = job('nest.bare');
  const OnMethod = job('nest.on-method');
  const Inherited = job('nest.inherited');
  const contracts = [Bare, OnMethod, Inherited, Scoped];
  const waysOfNest = () => (new Error().stack?.includes('rpc-context-creator') ? 'through Nest' : 'directly');

  @JobHandler(Bare)
  class BareHandler implements Handler<typeof Bare> {
    private readonly prefix = 'called';
    handle() {
      return `${this.prefix} ${waysOfNest()}`;
    }
  }
  @JobHandler(OnMethod)
  class OnMethodHandler implements Handler<typeof OnMethod> {
    @UseInterceptors(Shout)
    handle() {
      return 'called';
    }
  }
  @UseInterceptors(Shout)
  class Loud {}
  @JobHandler(Inherited)
  class InheritedHandler extends Loud implements Handler<typeof Inherited> {
    handle() {
      return 'called';
    }
  }
  const played = async (
    contract: (typeof contracts)[number],
    providers: Parameters<typeof givenWorker>[1]['providers'] = [],
  ) => {
    const { producer, close } = await givenProducerAndWorker({
      contracts,
      handlers: [BareHandler, OnMethodHandler, InheritedHandler, ScopedHandler],
      providers: [Request, ...providers],
    });
    try {
      const { id } = await producer.jobs.enqueue(contract, { text: 'ada' });
      return await eventually(async () => {
        const job = await producer.app.get(JobQueries).find(id);
        return job?.finishedAt ? job.result : undefined;
      });
    } finally {
      await close();
    }
  };

  test('with none of them', async () => {
    expect(await played(Bare)).toBe('called directly');
  });
  test('but not with a global guard', async () => {
    expect(await played(Bare, [{ provide: APP_GUARD, useClass: GlobalGuard }])).toBe('called through Nest');
  });
  test('nor with something on its method', async () => {
    expect(await played(OnMethod)).toBe('called!');
  });
  test('nor with something on the class that it extends', async () => {
    expect(await played(Inherited)).toBe('called!');
  });
  test('nor with an instance for each job', async () => {
    expect(await played(Scoped)).toMatchObject({ same: true });
  });
});

describe('A worker that cannot work does not start, and says why', () => {
  const contracts = [Guarded];
  let environment: Environment;
  afterEach(() => environment?.close());
  const start = async (options: Parameters<typeof givenWorker>[1]) => {
    environment = await givenEnvironment(contracts);
    return givenWorker(environment, options).then(
      async (app) => {
        await app.close();
        return 'it started';
      },
      (error) => error.message,
    );
  };

  test('two handlers for one contract', async () => {
    @JobHandler(Guarded)
    class Second implements Handler<typeof Guarded> {
      handle() {}
    }
    expect(await start({ contracts, handlers: [GuardedHandler, Second], providers: [OnlyShort] })).toBe(
      'nest.guarded has two handlers, GuardedHandler and Second: remove one of them',
    );
  });
  test('a handler whose contract is not among the contracts', async () => {
    expect(await start({ contracts, handlers: [InterceptedHandler] })).toContain(
      'InterceptedHandler handles nest.intercepted, which is not among the contracts',
    );
  });
  test('a handler without a contract', async () => {
    @JobHandler(undefined as unknown as typeof Guarded)
    class Lost {
      handle() {}
    }
    expect(await start({ contracts, handlers: [Lost] })).toContain('Lost has no contract');
  });
  test('a controller with a pattern that any transport may take', async () => {
    @Controller()
    class Stray {
      @EventPattern('user.created')
      onUser(_: unknown) {}
    }
    expect(await start({ contracts, handlers: [Stray] })).toContain(
      '"user.created" is handled by a method with @EventPattern or @MessagePattern: make it a class with @JobHandler',
    );
  });
  test('a queue to serve that no contract has', async () => {
    expect(await start({ contracts, settings: { WORKER_QUEUES: ['nset'] } })).toContain(
      'WORKER_QUEUES names nset; the contracts know nest',
    );
  });
});

describe('defineJob refuses what cannot work', () => {
  test.each([
    ['no queue', { queue: '' }, /queue is missing/],
    ['a name with CRLF', { name: 'a\r\nb' }, /name must be/],
    ['a name of 300 characters', { name: 'a'.repeat(300) }, /name must be/],
    ['a name kept for routing', { name: 'queue.x' }, /kept for routing/],
    ['a former queue that is none', { movedFrom: ['b', 'B'] }, /queue "B" must be a name/],
    ['a contract that moved to where it was', { movedFrom: 'a' }, /movedFrom names "a", where its jobs are/],
    ['a queue that is a dead-letter queue', { queue: 'x.dead' }, /must be a name/],
    ['a delay without a unit', { retry: ['5'] }, /retry: "5" is not a valid duration/],
    ['a time-out of nothing', { timeout: '0s' }, /timeout must be 1ms to 24d/],
    ['a time-out that no timer can wait for', { timeout: '25d' }, /timeout must be 1ms to 24d/],
    ['an age without a unit', { keep: '7' }, /keep: "7" is not a valid duration/],
    ['an age of nothing', { keep: { cancelled: '0d' } }, /keep must be 1ms to 36500d/],
    ['an age that no database can tell', { keep: '36501d' }, /keep must be 1ms to 36500d/],
    [
      'an age of a state that is kept',
      { keep: { dead: '7d' } },
      /keep names "dead", which is none of succeeded,/,
    ],
    ['a delay that no queue can wait for', { retry: ['60d'] }, /retry must be 1ms to 24d/],
  ])('%s', (_, wrong, message) => {
    expect(() => defineJob({ name: 'a.b', queue: 'a', payload, ...(wrong as object) })).toThrow(message);
  });
  test('two contracts of one name', async () => {
    const { Contracts } = await import('#jobs');
    expect(() => new Contracts([Guarded, job('nest.guarded')])).toThrow(
      'Two contracts are named "nest.guarded"',
    );
  });
});
