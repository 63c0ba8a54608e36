import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import * as own from '#contracts';
import { eventually } from '#testing';
import { type Environment, freePort, givenEnvironment, givenProcess, root } from '#testing/services';
import { appsOf } from '../support/apps-with.js';
import { givenProxy, type TcpProxy } from '../support/proxy.js';
import * as contracts from './contracts.js';
import { buildEarlierApps, EARLIER } from './earlier.js';
import { Ledger } from './ledger.js';
import { Load, type LoadOptions } from './load.js';
import { SceneApp, WITHIN_MS } from './scene-app.js';
import type { Stage } from './stage.js';

/** A broker 3.10 that is killed right after a queue was declared can lose the queue; 1.5 s later it did not. */
const YOUNG_QUEUES_MS = 3_000;
/** A line for each job would hide what matters, and a stage has no time for long farewells. */
const SETTINGS = { LOG_LEVEL: 'warn', SHUTDOWN_GRACE: '5s' };

/** Folders in use. Whatever ends the suite, none of them outlives it. */
const folders = new Set<string>();
process.once('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** How an app of a scene differs from the usual. */
export interface SceneAppOptions {
  /** Ways to the broker and the database that the test can break. */
  broker?: TcpProxy;
  database?: TcpProxy;
  settings?: Record<string, string>;
  /** Which code it runs; see `contracts.ts`. */
  version?: number;
  nodeOptions?: string[];
  /** Starts it again whenever it dies, as a supervisor would. */
  supervised?: boolean;
  /** Returns before it is ready. */
  unready?: boolean;
}

/** What one fault plays in: a vhost and a database of its own, an api, workers, a ledger and a load. */
export class Scene {
  readonly apps: SceneApp[] = [];
  readonly loads: Load[] = [];
  private readonly proxies: TcpProxy[] = [];
  private readonly declaredAt = Date.now();
  private earlierApps = '';

  private constructor(
    readonly stage: Stage,
    readonly environment: Environment,
    readonly ledger: Ledger,
    private readonly folder: string,
  ) {}

  /** @param bare whether no migration has run. */
  static async open(stage: Stage, bare = false): Promise<Scene> {
    const known = bare ? undefined : Object.values({ ...own, ...contracts });
    const environment = await givenEnvironment(known, stage.addresses);
    const folder = await mkdtemp(join(tmpdir(), 'warren-faults-'));
    folders.add(folder);
    return new Scene(stage, environment, new Ledger(join(folder, 'ledger')), folder);
  }

  api(options: SceneAppOptions = {}): Promise<SceneApp> {
    return this.app('api', options);
  }

  worker(options: SceneAppOptions = {}): Promise<SceneApp> {
    return this.app('worker', options);
  }

  workers(count: number, options: SceneAppOptions = {}): Promise<SceneApp[]> {
    return Promise.all(Array.from({ length: count }, () => this.worker(options)));
  }

  /** A way to the broker or the database that can be broken for anyone who takes it. */
  async proxy(to: 'broker' | 'database'): Promise<TcpProxy> {
    const { rabbitmqUrl, databaseUrl } = this.environment;
    const proxy = await givenProxy(to === 'broker' ? rabbitmqUrl : databaseUrl);
    this.proxies.push(proxy);
    return proxy;
  }

  /** Begins to post jobs; a fault usually happens while it does. */
  load(api: SceneApp, options: Partial<LoadOptions> = {}): Load {
    const load = new Load(api.url, { jobs: 1_000, perSecond: 150, ...options });
    this.loads.push(load);
    return load;
  }

  /** How many workers were killed here. */
  get kills(): number {
    return this.apps.filter(({ kind }) => kind === 'worker').reduce((sum, { kills }) => sum + kills, 0);
  }

  /** Waits until a condition holds. */
  async until(condition: () => Promise<unknown> | unknown, within = WITHIN_MS): Promise<void> {
    await eventually(condition, within);
  }

  /** Waits until no queue is so young that a killed broker could lose it. */
  async queuesAreOld(): Promise<void> {
    await pause(Math.max(0, this.declaredAt + YOUNG_QUEUES_MS - Date.now()));
  }

  /** Builds the apps of a commit, which are the version {@link EARLIER} then. */
  async buildEarlier(commit: string): Promise<void> {
    this.earlierApps = await buildEarlierApps(commit, join(this.folder, 'earlier'));
  }

  /** What a deploy of some version does before all else. */
  async migrate(version: number): Promise<void> {
    const settings = { FAULTS_VERSION: String(version || 1) };
    await this.run('dist/scripts/migrate.js', [], settings, this.appsOf(version));
  }

  /** Runs a built command as an operator would. @returns what it printed. */
  async run(
    file: string,
    args: string[] = [],
    settings: Record<string, string> = {},
    cwd = appsOf('faults'),
  ): Promise<string> {
    const child = spawn(process.execPath, [file, ...args], {
      cwd,
      env: {
        PATH: process.env.PATH,
        RABBITMQ_URL: this.rabbitmqUrls,
        DATABASE_URL: this.environment.databaseUrl,
        ...settings,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    child.stdout.on('data', (chunk) => (output += chunk));
    child.stderr.on('data', (chunk) => (output += chunk));
    const [code] = await once(child, 'close');
    if (code !== 0) throw new Error(`${file} ${args.join(' ')} ended with ${code}: ${output}`);
    return output;
  }

  /** Keeps what the apps printed, the ledger and the records, for anyone who looks into a failure. @returns the folder. */
  async keepLogs(name: string): Promise<string> {
    const folder = join(root, 'var', 'faults', name);
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    for (const [index, app] of this.apps.entries()) {
      await writeFile(join(folder, `${index}-${app.kind}.log`), app.output);
    }
    const lines = (entries: unknown[]) => entries.map((entry) => `${JSON.stringify(entry)}\n`).join('');
    await writeFile(join(folder, 'ledger.jsonl'), lines(this.ledger.read()));
    const records = await this.environment.sql('select * from jobs order by id').catch(() => []);
    await writeFile(join(folder, 'records.jsonl'), lines(records));
    return folder;
  }

  async close(): Promise<void> {
    for (const load of this.loads) load.stop();
    await Promise.all(this.apps.map((app) => app.kill()));
    await Promise.all(this.loads.map((load) => load.done));
    await Promise.all(this.proxies.map((proxy) => proxy.close()));
    await this.environment.close();
    await rm(this.folder, { recursive: true, force: true });
    folders.delete(this.folder);
  }

  private async app(kind: 'api' | 'worker', options: SceneAppOptions): Promise<SceneApp> {
    const port = await freePort();
    const { broker, database, settings, nodeOptions, version = 1 } = options;
    const addresses = {
      rabbitmqUrl: broker?.url ?? this.rabbitmqUrls,
      databaseUrl: database?.url ?? this.environment.databaseUrl,
    };
    const app = new SceneApp(kind, options.supervised ?? false, version, ({ version }) =>
      givenProcess(
        kind,
        addresses,
        {
          ...SETTINGS,
          FAULTS_LEDGER: join(this.folder, 'ledger'),
          FAULTS_VERSION: String(version || 1),
          ...settings,
        },
        { port, nodeOptions, folder: this.appsOf(version) },
      ),
    );
    this.apps.push(app);
    await app.start(!options.unready);
    return app;
  }

  private appsOf(version: number): string {
    return version === EARLIER ? this.earlierApps : appsOf('faults');
  }

  /** The addresses of all brokers of a cluster. */
  private get rabbitmqUrls(): string {
    const { pathname } = new URL(this.environment.rabbitmqUrl);
    return this.stage.nodes
      .map(({ addresses }) => Object.assign(new URL(addresses.rabbitmqUrl), { pathname }).href)
      .join(',');
  }
}
