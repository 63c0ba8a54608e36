/** How commands end that start other processes: whatever ends them, they first stop what they started. */

const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;
const PARENT_POLL_MS = 500;
/** One Ctrl-C may arrive twice, from the terminal and from npm. */
const SAME_SIGNAL_MS = 500;

/** Somebody told the command to end. */
export class Interruption extends Error {
  override readonly name = 'Interruption';

  /** @param exitCode what a shell expects of a process that ends this way. */
  constructor(
    message: string,
    readonly exitCode: number,
  ) {
    super(message);
  }
}

/**
 * Aborts with an {@link Interruption} when the command is told to end: by a signal, by the end of whatever read its
 * output, by the end of npm. A second Ctrl-C does not wait for anything any more.
 */
export function abortWhenTold(ending: AbortController): void {
  const tell = (message: string, exitCode: number) => {
    if (!ending.signal.aborted) ending.abort(new Interruption(message, exitCode));
  };
  let firstAt = Number.POSITIVE_INFINITY;
  for (const [name, number] of Object.entries(SIGNALS)) {
    process.on(name, () => {
      if (Date.now() > firstAt + SAME_SIGNAL_MS) process.exit(128 + number);
      firstAt = Math.min(firstAt, Date.now());
      tell(`Told to end by ${name}`, 128 + number);
    });
  }
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', () => tell('Nobody reads the output any more', 1));
  }
  // npm runs commands through a shell, which dies of a signal from npm without passing it on.
  const parent = process.ppid;
  if (process.env.npm_lifecycle_event) {
    const watch = setInterval(() => {
      if (process.ppid === parent) return;
      clearInterval(watch);
      tell('npm has ended', 1);
    }, PARENT_POLL_MS);
    watch.unref();
  }
}

/** Resolves as the promise does, unless the signal is aborted before: then rejects with its reason. */
export async function unlessAborted<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  // What is given up may still fail later, and nobody is left to care.
  promise.catch(() => undefined);
  signal.throwIfAborted();
  let onAbort: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
