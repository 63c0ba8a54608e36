import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { type AppName, type AppOptions, Apps } from '../apps.js';

const execute = promisify(execFile);
const NAMES = ['api', 'worker'] as const;

type Part = AppName | 'migration';

/** The api and the worker, started again when what they are made of has changed. */
export class RestartingApps {
  readonly #running = new Map<AppName, Apps>();
  /** What runs with old code, or does not run. */
  readonly #stale = new Set<Part>(['migration', ...NAMES]);
  #round = new AbortController();
  #last: Promise<unknown> = Promise.resolve();

  /**
   * @param options how each is started. @param stopLimitMs what one may take to end before it is killed.
   * @param log told what goes wrong, and what was started.
   */
  constructor(
    private readonly options: Record<AppName, AppOptions>,
    private readonly stopLimitMs: number,
    private readonly log: (block: string) => void,
  ) {}

  /**
   * Starts again what is made of these files, and what has failed.
   *
   * @returns whether both apps are ready; not so when one fails, and when another change comes meanwhile.
   */
  async renew(files: string[]): Promise<boolean> {
    for (const part of files.flatMap(madeOf)) this.#stale.add(part);
    if (this.#stale.size === 0) return true;
    this.#round.abort();
    this.#round = new AbortController();
    const { signal } = this.#round;
    const round = this.#last.then(() => this.#start(signal));
    this.#last = round;
    return round;
  }

  async stop(): Promise<void> {
    this.#round.abort();
    await this.#last;
    await Promise.all(NAMES.map((name) => this.#end(name)));
  }

  async #start(signal: AbortSignal): Promise<boolean> {
    if (signal.aborted || !(await this.#migrate(signal))) return false;
    const names = NAMES.filter((name) => this.#stale.has(name));
    await Promise.all(names.map((name) => this.#restart(name, signal)));
    if (signal.aborted || this.#stale.size > 0) return false;
    this.log(`Started: ${names.join(' and ')}`);
    return true;
  }

  /** In a process of its own, which reads the contracts as they are now. @returns whether all is up to date. */
  async #migrate(signal: AbortSignal): Promise<boolean> {
    if (!this.#stale.has('migration')) return true;
    const { env } = this.options.api;
    try {
      await execute(process.execPath, ['--enable-source-maps', 'dist/scripts/migrate.js'], { env, signal });
      return this.#stale.delete('migration');
    } catch (error) {
      const { stderr = '', message } = error as Error & { stderr?: string };
      if (!signal.aborted) this.log(`${stderr.trimEnd() || message}\nThe migration failed. ${AGAIN}`);
      return false;
    }
  }

  async #restart(name: AppName, signal: AbortSignal): Promise<void> {
    await this.#end(name);
    const failed = new AbortController();
    failed.signal.addEventListener('abort', () => {
      this.#stale.add(name);
      this.log(`${failed.signal.reason.message}. ${AGAIN}`);
    });
    const apps = new Apps((error) => failed.abort(error));
    this.#running.set(name, apps);
    try {
      await apps.start(name, this.options[name], AbortSignal.any([signal, failed.signal]));
      this.#stale.delete(name);
    } catch (error) {
      if (!signal.aborted) failed.abort(error);
    }
  }

  async #end(name: AppName): Promise<void> {
    await this.#running.get(name)?.stop(this.stopLimitMs);
    this.#running.delete(name);
  }
}

const AGAIN = 'It is started again when a file has changed';

/** What is made of a file of the build: an app of its own files, and all that there is of the libs. */
function madeOf(file: string): Part[] {
  if (file.includes('/assets/')) return ['api'];
  if (!/\.(js|sql)$/.test(file)) return [];
  if (file.startsWith('dist/libs/')) return ['migration', ...NAMES];
  return NAMES.filter((name) => file.startsWith(`dist/apps/${name}/`));
}
