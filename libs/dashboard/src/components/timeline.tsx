import { grouped } from '#config';
import type { AttemptView, JobView, Used } from '#records';
import { Badge, duration, Failure, Long, Text, Time } from './values.js';

/** What became of a job, newest first: what matters most is what happened last. */
export const Timeline = ({ state, attempt, attempts, runAt, createdAt, finishedAt }: JobView) => (
  <ol class="timeline">
    {state === 'scheduled' && <Event kind={state} label="Starts" at={runAt} />}
    {state === 'retrying' && <Event kind={state} label={`Attempt ${attempt + 1}`} at={runAt} />}
    {state === 'queued' && <Event kind={state} label="Waits for a worker" />}
    {state === 'discarded' && <Event kind={state} label="Discarded" at={finishedAt} />}
    {state === 'cancelled' && attempts.at(-1)?.outcome !== 'cancelled' && (
      <Event kind={state} label="Cancelled" at={finishedAt} />
    )}
    {attempts.toReversed().map(Attempt)}
    <Event label="Enqueued" at={createdAt} />
  </ol>
);

const Event = ({ kind, label, at }: { kind?: string; label: string; at?: Date | string | null }) => (
  <li class={kind}>
    <h3>
      {label} {at && <Time at={at} />}
    </h3>
  </li>
);

const usedIn = ({ cpuMs, heapBytes }: Used) =>
  [cpuMs !== null && `${grouped(cpuMs)} ms of CPU`, `${grouped(Math.ceil(heapBytes / 1_048_576))} MB of heap`]
    .filter(Boolean)
    .join(', ');

const Attempt = ({ attempt, outcome, worker, startedAt, finishedAt, error, used }: AttemptView) => (
  <li class={outcome}>
    <h3>
      Attempt {attempt} <Badge state={outcome} />
    </h3>
    <p class="hint">
      {startedAt && ['started ', <Time at={startedAt} />]}
      {finishedAt && startedAt && `, duration ${duration(startedAt, finishedAt)}`}
      {worker && [', on ', <Text of={worker} kind="id" />]}
    </p>
    {used && <p class="hint">{usedIn(used)}</p>}
    {outcome === 'crashed' && !error && <p>The worker died, or lost its machine, while it had this job.</p>}
    {error && <Failure kind="error" error={error} />}
    {error?.stack && (
      <details>
        <summary>Stack</summary>
        <Long text={error.stack} />
      </details>
    )}
  </li>
);
