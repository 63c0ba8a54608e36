import { Controller, Get, Header, HttpCode, Inject } from '@nestjs/common';
import { HealthCheckService, HealthIndicatorService } from '@nestjs/terminus';
import { Cache, withTimeout } from '#common';
import type { ReadinessCheck } from './health.module.js';
import { Public } from './public.js';

export const READINESS = Symbol('readiness checks');

/** A check that has not answered by then has failed; probes usually wait no longer. */
const CHECK_TIMEOUT_MS = 2_000;

/** For what watches over the process. Tells nothing about versions or addresses. */
@Public()
@Controller('health')
export class HealthController {
  /** Anybody may ask, and what is asked takes a connection to the database: those who ask at once share an answer. */
  private readonly answers: [name: string, answer: Cache<true | string>][];

  constructor(
    private readonly health: HealthCheckService,
    private readonly indicators: HealthIndicatorService,
    @Inject(READINESS) checks: ReadinessCheck[],
  ) {
    this.answers = checks.map(({ name, check }) => [name, new Cache(() => answerOf(check))]);
  }

  /** Asks nothing but the event loop: restarting the process would not bring back a broker or a database. */
  @Get('live')
  @HttpCode(200)
  @Header('cache-control', 'no-store')
  live(): { status: 'ok' } {
    return { status: 'ok' };
  }

  /** 200 when the process can do its work now, else 503 with what is missing. */
  @Get('ready')
  @Header('cache-control', 'no-store')
  ready() {
    return this.health.check(
      this.answers.map(([name, answer]) => async () => {
        const indicator = this.indicators.check(name);
        const message = await answer.get();
        return message === true ? indicator.up() : indicator.down({ message });
      }),
    );
  }
}

function answerOf(check: ReadinessCheck['check']): Promise<true | string> {
  const answer = Promise.resolve().then(check);
  return withTimeout(answer, CHECK_TIMEOUT_MS, () => 'no answer in time').catch(() => 'does not answer');
}
