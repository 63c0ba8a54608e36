import type { ChildProcess } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from '#testing';
import type { AppProcess } from '#testing/services';

/** A pause before a process that died is started again, as a supervisor would make it. */
const RESTART_PAUSE_MS = 300;
/** How long a fault waits for what it needs. Long, because nothing here is about speed but where a promise says so. */
export const WITHIN_MS = 60_000;
/** A process that does not answer a probe by then counts as not healthy. */
const PROBE_LIMIT_MS = 5_000;

/** Apps that run. Whatever ends the suite, none of them outlives it. */
const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** The api or a worker, which can be killed and started again at the same address. */
export class SceneApp {
  /** How often it was killed by {@link kill} or {@link crash}. */
  kills = 0;
  private process: AppProcess | undefined;
  private former = '';
  private wanted = false;

  constructor(
    readonly kind: 'api' | 'worker',
    private readonly supervised: boolean,
    public version: number,
    private readonly spawn: (app: SceneApp) => Promise<AppProcess>,
  ) {}

  get url(): string {
    return this.process!.url;
  }

  get pid(): number {
    return this.process!.child.pid!;
  }

  /** Everything that its processes wrote so far. */
  get output(): string {
    return this.former + (this.process?.output() ?? '');
  }

  /** Starts it, also again after it ended. */
  async start(untilReady = true): Promise<void> {
    this.former = this.output;
    this.wanted = true;
    const process = await this.spawn(this);
    this.process = process;
    running.add(process.child);
    process.child.once('exit', () => {
      running.delete(process.child);
      void this.restart();
    });
    // With the broker down an api is ready all the same: that is what is promised.
    if (untilReady) await process.ready({ withBroker: false });
  }

  /** Ends it with a signal. @returns the exit code, or the signal that ended it. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | NodeJS.Signals> {
    this.wanted = false;
    return this.process?.stop(signal) ?? 0;
  }

  /** Stops it, and starts it again with other code. */
  async deploy(version: number): Promise<void> {
    // One that was killed has been started again by then.
    await this.becomesReady();
    await this.stop();
    this.version = version;
    await this.start();
  }

  /** `kill -9`, after which only `start` brings it back. */
  async kill(): Promise<void> {
    this.kills++;
    await this.stop('SIGKILL');
  }

  /** `kill -9` of what runs now, which a supervisor will notice. */
  crash(): void {
    this.kills++;
    this.process?.child.kill('SIGKILL');
  }

  signal(signal: NodeJS.Signals): void {
    this.process?.child.kill(signal);
  }

  isReady(): Promise<boolean> {
    return this.isHealthy('ready');
  }

  isLive(): Promise<boolean> {
    return this.isHealthy('live');
  }

  async becomesReady(): Promise<void> {
    await eventually(() => this.isReady(), WITHIN_MS);
  }

  private async isHealthy(what: 'ready' | 'live'): Promise<boolean> {
    const signal = AbortSignal.timeout(PROBE_LIMIT_MS);
    return fetch(`${this.url}/health/${what}`, { signal }).then(
      ({ ok }) => ok,
      () => false,
    );
  }

  private async restart(): Promise<void> {
    if (!this.supervised || !this.wanted) return;
    await pause(RESTART_PAUSE_MS);
    if (this.wanted) await this.start(false);
  }
}
