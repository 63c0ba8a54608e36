import { counted, grouped } from '#config';
import type { StoredError } from '#records';
import { address, jobPath } from '../addresses.js';

/** A state, told by its word, its colour and its mark. */
export const Badge = ({ state, title }: { state: string; title?: string }) => (
  <Text of={state} kind={`badge ${state}`} title={title} />
);

interface TextProps {
  of: string | number;
  /** Its class; `none` stands back. */
  kind?: string;
  title?: string;
  to?: string;
}

/** A piece of text. */
export const Text = ({ of, kind, title, to }: TextProps) => {
  const Element = to ? 'a' : 'span';
  return (
    <Element class={kind} title={title} href={to}>
      {of}
    </Element>
  );
};

/** What stands where there is nothing to show. */
export const None = ({ of = '–', title }: Partial<TextProps>) => <Text of={of} title={title} kind="none" />;

/** A time: how long ago or ahead it is, with the time itself behind it. */
export function Time({ at }: { at: Date | string | null | undefined }) {
  if (!at) return <None />;
  const iso = new Date(at).toISOString();
  return (
    <time datetime={iso} title={iso.replace('T', ' ').replace(/\.\d+Z/, ' UTC')}>
      {relative(Date.parse(iso) - Date.now())}
    </time>
  );
}

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
] as const;

/** `3 min ago`, `in 2 h`, `now`. The script of the pages does the same as time goes on. */
function relative(ms: number): string {
  const [unit, size] = UNITS.find(([, size]) => Math.abs(ms) >= size) ?? ['s', 1_000];
  const amount = Math.round(Math.abs(ms) / size);
  if (amount === 0) return 'now';
  return ms < 0 ? `${amount} ${unit} ago` : `in ${amount} ${unit}`;
}

/** How long something took: `340 ms`, `2.1 s`, `4 min 10 s`, `3 d 2 h`. */
export function duration(from: Date | string | null, to: Date | string | null): string {
  if (!from || !to) return '';
  return durationOf(Math.max(0, new Date(to).getTime() - new Date(from).getTime()));
}

/** The same in milliseconds. */
export function durationOf(ms: number): string {
  if (ms < 1_000) return `${ms} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor((seconds % 3_600) / 60)];
  if (hours >= 48) return `${Math.floor(hours / 24)} d ${hours % 24} h`;
  return hours > 0 ? `${hours} h ${minutes} min` : `${minutes} min ${seconds % 60} s`;
}

/** How far a job is, between 0 and 1. */
export const Progress = ({ of, text, label = 'Progress' }: { of: number; text?: string; label?: string }) => (
  <span class="progress">
    <progress value={of} aria-label={label} /> <span>{text ?? `${Math.round(of * 100)} %`}</span>
  </span>
);

/** An error and what caused it. */
export const Failure = ({ kind, error }: { kind: 'problem' | 'error'; error: StoredError }) => (
  <>
    <p class={kind}>
      <Said {...error} />
    </p>
    {error.onDead && <p class="problem">onDead failed: {error.onDead}</p>}
    {error.causes && error.causes.length > 0 && (
      <ul class="error" aria-label="Caused by">
        {error.causes.map((cause) => (
          <li>
            <Said {...cause} />
          </li>
        ))}
      </ul>
    )}
  </>
);

const Said = ({ class: type, code, message }: Pick<StoredError, 'class' | 'code' | 'message'>) => (
  <>
    <strong>{type}</strong> {code && <code>{code}</code>} {message}
  </>
);

/** More than this of one value helps nobody, and makes a slow page. */
const MAX_SHOWN = 64 * 1024;

/** A payload or a result as text. `JobQueries` has taken the secrets out. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value, null, 2) ?? 'nothing';
  if (text.length <= MAX_SHOWN) return text;
  return `${text.slice(0, MAX_SHOWN)}\n… and ${counted(text.length - MAX_SHOWN, 'character')} more: GET /jobs/{id} has all of it`;
}

/** Long text, as it was written. */
export const Long = ({ text }: { text: string }) => <pre tabindex={0}>{text}</pre>;

/** The tags of a job, each of which leads to the jobs that have it. */
export const Tags = ({ of }: { of: readonly string[] }) => (
  <>{of.map((tag) => [<Text to={address('/jobs', { tag })} of={tag} kind="tag" />, ' '])}</>
);

/** The end of the id of a job, which tells jobs apart better than its beginning, which is the time. */
export const JobLink = ({ id }: { id: string }) => (
  <Text to={jobPath(id)} of={`…${id.slice(-12)}`} kind="id" title={id} />
);

/** The name of a job, and the end of its id. */
export const JobName = ({ id, name }: { id: string; name: string }) => (
  <>
    <Text to={jobPath(id)} of={name} kind="name" /> <JobLink id={id} />
  </>
);

/** A count that leads to what was counted, and stands back when it is zero. */
export const Count = ({ of, kind, to }: { of: number; kind?: string; to?: string }) =>
  of === 0 ? <None of="0" /> : <Text of={grouped(of)} kind={kind} to={to} />;
