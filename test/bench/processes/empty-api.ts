import { Body, Controller, HttpCode, Module, Post } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { loadSettings, SettingsModule } from '#config';
import { HttpModule, makeHttpAdapter } from '#http';
import { serve, usage } from '../protocol.js';

/** Takes a job's body in and forgets it. */
@Controller('jobs')
class EmptyController {
  @Post()
  @HttpCode(202)
  enqueue(@Body() { name }: { name: string }) {
    return { name };
  }

  /** The work of a job that computes, done while the client waits. */
  @Post('inline')
  inline(@Body() { ms }: { ms: number }) {
    for (const until = performance.now() + ms; performance.now() < until; );
    return { ms };
  }
}

@Module({ imports: [SettingsModule.forRoot(), HttpModule], controllers: [EmptyController] })
class EmptyModule {}

const settings = loadSettings();
const app = await NestFactory.create<NestFastifyApplication>(EmptyModule, makeHttpAdapter(settings), {
  logger: ['warn', 'error', 'fatal'],
  bodyParser: false,
});
await app.listen(settings.PORT, '127.0.0.1');
serve({ usage });
