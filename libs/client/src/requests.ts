/** Where the api is, and how hard a client tries to reach it. */
export interface Connection {
  url: string;
  apiKey?: string;
  /** How often a request is sent again that met a network error, 429 or 503; 4 when absent. */
  retries?: number;
}

/** Sends a request, again where that helps. @returns the JSON of the answer, or its stream. @throws ProblemError */
export type Send = (
  path: string,
  call?: Pick<RequestInit, 'method' | 'signal'> & {
    body?: unknown;
    headers?: Record<string, string | undefined>;
    isStream?: boolean;
    /** A second request would be a second job. */
    isOnce?: boolean;
  },
  // biome-ignore lint/suspicious/noExplicitAny: the api says what it answers with
) => Promise<any>;

/** The api refused a request, or could not do it: with problem details (RFC 9457). */
export class ProblemError extends Error {
  override readonly name = 'ProblemError';

  constructor(
    readonly status: number,
    readonly problem: {
      type?: string;
      detail?: string;
      errors?: { pointer?: string; detail: string }[];
      /** What the key is not for, when the status is 403. */
      scope?: string;
      contract?: string;
    },
  ) {
    const places = (problem.errors ?? []).map(({ pointer = '', detail }) => `; ${pointer} ${detail}`);
    super(`${status} ${problem.detail ?? ''}${places.join('')}`);
  }
}

const RETRIES = 4;
const TIMEOUT_MS = 60_000;
const FIRST_PAUSE_MS = 200;
const NOT_NOW = [429, 503];

/** Makes what sends all requests of a client. */
export function sender({ url, apiKey, retries = RETRIES }: Connection): Send {
  return async (path, call = {}) => {
    const { method, body, signal, isStream, isOnce } = call;
    const headers = Object.entries({
      authorization: apiKey && `Bearer ${apiKey}`,
      'content-type': body ? 'application/json' : undefined,
      ...call.headers,
    }).filter((header): header is [string, string] => Boolean(header[1]));
    for (let attempt = 0; ; attempt++) {
      const isLast = attempt >= retries || isOnce;
      let pauseMs = FIRST_PAUSE_MS * 2 ** attempt * (0.5 + Math.random());
      const limits = [signal, isStream ? undefined : AbortSignal.timeout(TIMEOUT_MS)];
      try {
        const response = await fetch(`${url.replace(/\/+$/, '')}${path}`, {
          ...{ method, headers, body: JSON.stringify(body) },
          signal: AbortSignal.any(limits.filter((limit) => limit instanceof AbortSignal)),
        });
        if (response.ok) return isStream ? response.body : await response.json();
        const problem = await response.json().catch(() => ({ detail: response.statusText }));
        if (isLast || !NOT_NOW.includes(response.status)) throw new ProblemError(response.status, problem);
        pauseMs = Number(response.headers.get('retry-after')) * 1_000 || pauseMs;
      } catch (error) {
        if (isLast || error instanceof ProblemError || signal?.aborted) throw error;
      }
      await new Promise((resolve) => {
        setTimeout(resolve, pauseMs);
        // The next attempt throws then.
        signal?.addEventListener('abort', resolve, { once: true });
      });
    }
  };
}
