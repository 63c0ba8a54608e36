/** The api, as a program that enqueues jobs and looks at them sees it. */

export interface Queue {
  queue: string;
  scheduled: number;
  queued: number;
  running: number;
  retrying: number;
  dead: number;
  /** Null when no broker answers. */
  consumers: number | null;
}

export interface Job {
  id: string;
  name: string;
  queue: string;
  state: string;
  result: unknown;
  error: { message: string; class: string } | null;
  attempts: { startedAt: string | null }[];
  createdAt: string;
  finishedAt: string | null;
}

/** As many in a page as the api gives. */
const PAGE = 1_000;

export class Client {
  constructor(
    private readonly url: string,
    private readonly signal: AbortSignal,
  ) {}

  /** Enqueues a job. @returns it, as accepted. */
  enqueue(name: string, payload: unknown, options?: object): Promise<Job> {
    return this.call<Job>('POST', '/jobs', { name, payload, options });
  }

  /** Counts the jobs of each queue by state, but for those that succeeded. */
  async queues(): Promise<Queue[]> {
    return (await this.call<{ items: Queue[] }>('GET', '/queues')).items;
  }

  /** Lists jobs, newest first, page by page. */
  async *jobs(filter: { state?: string; name?: string }): AsyncGenerator<Job> {
    for (let cursor: string | null = ''; cursor !== null; ) {
      const query = new URLSearchParams({ ...filter, limit: String(PAGE), ...(cursor && { cursor }) });
      const page: { items: Job[]; next: string | null } = await this.call('GET', `/jobs?${query}`);
      yield* page.items;
      cursor = page.next;
    }
  }

  /** @throws Error with what the api answered, unless that is 2xx. */
  async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(this.url + path, {
      method,
      signal: this.signal,
      headers: body === undefined ? {} : { 'content-type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    if (response.ok) return (await response.json()) as T;
    throw new Error(`${method} ${path} answered ${response.status}: ${await response.text()}`);
  }
}
