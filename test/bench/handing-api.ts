import { Body, Controller, HttpCode, Inject, Module, Post } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { loadSettings, SettingsModule } from '#config';
import { HttpModule, makeHttpAdapter } from '#http';
import { serve, usage } from './protocol.js';

/** A queue that jobs are handed to; both calls resolve once it has them. */
export interface Queue {
  add(payload: unknown): Promise<{ id?: string }>;
  addMany(payloads: unknown[]): Promise<unknown>;
}
const QUEUE = Symbol('queue');

/** What one would write with another queue: the body is handed on as it is. */
@Controller()
class HandingController {
  constructor(@Inject(QUEUE) private readonly queue: Queue) {}

  @Post('jobs')
  @HttpCode(202)
  async enqueue(@Body() { name, payload }: { name: string; payload: unknown }) {
    const { id } = await this.queue.add(payload);
    return { id, name, state: 'queued', payload };
  }

  @Post('batches')
  @HttpCode(202)
  async enqueueMany(@Body() { payloads }: { payloads: unknown[] }) {
    await this.queue.addMany(payloads);
    return { total: payloads.length };
  }
}

/** Serves `POST /jobs` and `POST /batches` with the Nest and Fastify of Warren, over a queue that is not Warren's. */
export async function serveHandingApi(queue: Queue): Promise<void> {
  @Module({
    imports: [SettingsModule.forRoot(), HttpModule],
    controllers: [HandingController],
    providers: [{ provide: QUEUE, useValue: queue }],
  })
  class HandingModule {}

  const settings = loadSettings();
  const app = await NestFactory.create<NestFastifyApplication>(HandingModule, makeHttpAdapter(settings), {
    logger: ['warn', 'error', 'fatal'],
    bodyParser: false,
  });
  await app.listen(settings.PORT, '127.0.0.1');
  serve({ usage });
}
