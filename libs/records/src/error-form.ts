import type { JobError } from '#resources';

/** An error as records keep it. */
export type StoredError = JobError;

/** An error in one line: its message, and its deepest cause unless quoted in it. `fetch failed` alone says nothing. */
export function saidBy({ message, causes }: StoredError): string {
  const cause = causes?.at(-1)?.message;
  return cause === undefined || message.includes(cause) ? message : `${message}: ${cause}`;
}

/** The same of a stored error in SQL. @param error an SQL expression. */
export function saidInSql(error: string): string {
  const [message, cause] = [`(${error} ->> 'message')`, `(${error} -> 'causes' -> -1 ->> 'message')`];
  return `(${message} || case when position(${cause} in ${message}) = 0 then ': ' || ${cause} else '' end)`;
}

/** Characters of a message that tell one error from another, and what differs in them from job to job. */
const FORM_LENGTH = 300;
const VARYING = String.raw`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+`;

/**
 * The form of an error: the beginning of what it says, with `#` for each number and UUID. Written beside a job when it
 * dies (`jobs.error_form`), so that nobody has to work it out for a hundred thousand.
 *
 * @param said an SQL expression.
 */
export const formOf = (said: string): string =>
  `regexp_replace(left(${said}, ${FORM_LENGTH}), '${VARYING}', '#', 'gi') collate "C"`;

/** A text as it would stand in the form of an error. */
export const likeForms = (text: string): string => text.replace(new RegExp(VARYING, 'gi'), '#');
