// A worker whose handler ends its process in whatever way its payload says, as a process of its own over the compiled
// libs: plain JavaScript, so that node runs it as it is. It ends as the worker's own `main.ts` does.
import { EventEmitter } from 'node:events';
import { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { z } from 'zod';
import { loadSettings } from '#config';
import { defineJob, Executor, JobHandler, JobServer } from '#jobs';
import { WorkerRoleModule } from '#roles';
import { endOnStrayErrors, untilLogged, useLog } from '#telemetry';

const Wayward = defineJob({
  name: 'wayward.do',
  queue: 'wayward',
  payload: z.object({ way: z.string() }),
  retry: [],
  timeout: '10m',
});

const fail = (what) => {
  throw new Error(`${what} that nobody caught`);
};
/** Handlers hand on their signal, so those beside a culprit could hear if they were told to stop. */
const ways = {
  async healthy({ signal }) {
    await pause(1_000, undefined, { signal });
  },
  async endless({ signal }) {
    await pause(600_000, undefined, { signal });
  },
  async rejection() {
    void (async () => {
      await pause(200);
      fail('A rejection');
    })();
    await pause(600_000);
  },
  async rejections() {
    [1, 2, 3].forEach(async (n) => {
      await pause(200 + n);
      fail('A rejection');
    });
    await pause(600_000);
  },
  async timer({ signal }) {
    setTimeout(() => fail('An error'), 200);
    await pause(600_000, undefined, { signal });
  },
  async emitter() {
    const emitter = new EventEmitter();
    setTimeout(() => emitter.emit('error', new Error('An error of an emitter that nobody caught')), 200);
    await pause(600_000);
  },
  async stream() {
    await pause(200);
    new Readable({ read: () => fail('An error of a stream') }).resume();
    await pause(600_000);
  },
  async exit() {
    await pause(200);
    process.exit(0);
  },
  async caughtExit() {
    await pause(200);
    try {
      process.exit(0);
    } catch {}
    return 'done all the same';
  },
  async signal() {
    await pause(200);
    process.kill(process.pid, 'SIGTERM');
    await pause(600_000);
  },
  async leftover() {
    setInterval(() => fail('A leftover'), 300);
  },
  async listeners({ signal }) {
    for (let n = 0; n < 20; n++) signal.addEventListener('abort', () => {});
    process.emitWarning('A warning of a library');
  },
};
class WaywardHandler {
  handle(job) {
    console.log(`started ${job.id}`);
    return ways[job.payload.way](job);
  }
}
JobHandler(Wayward)(WaywardHandler);

/** Many in one call, which ends its worker if one of them does. */
const Together = defineJob({ ...Wayward, name: 'wayward.together', queue: 'together', retry: [] });
class TogetherHandler {
  async handle(jobs) {
    for (const { id } of jobs) console.log(`started ${id}`);
    const culprit = jobs.find(({ payload }) => payload.way !== 'healthy');
    if (culprit) await ways[culprit.payload.way](culprit);
    return new Map(jobs.map(({ id }) => [id, null]));
  }
}
JobHandler(Together, { batch: { size: 3, within: '500ms' } })(TogetherHandler);

class WaywardModule {}
Module({
  imports: [
    WorkerRoleModule.forRoot({
      contracts: [Wayward, Together],
      settings: () => loadSettings({ ...process.env, SHUTDOWN_GRACE: '3s' }),
    }),
  ],
  controllers: [WaywardHandler, TogetherHandler],
})(WaywardModule);

const app = await NestFactory.create(WaywardModule, new FastifyAdapter(), untilLogged);
const log = useLog(app);
app.enableShutdownHooks(['SIGTERM'], { useProcessExit: true });
const executor = app.get(Executor);
executor.guardProcess(endOnStrayErrors(log, (error) => executor.blame(error)));
// An error of no job: a signal's listeners are in no job's context.
process.on('SIGUSR2', () => fail('An error of the worker'));
app.connectMicroservice({ strategy: app.get(JobServer) }, { inheritAppConfig: true });
await app.init();
await app.startAllMicroservices();
console.log('ready');
