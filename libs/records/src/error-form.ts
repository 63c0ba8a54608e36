/** Characters of a message that tell one error from another, and what differs in them from job to job. */
const FORM_LENGTH = 300;
const VARYING = String.raw`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+`;

/**
 * The form of an error: the beginning of its message, with `#` for each number and UUID. Written beside a job when it
 * dies (`jobs.error_form`), so that nobody has to work it out for a hundred thousand.
 *
 * @param message an SQL expression.
 */
export const formOf = (message: string): string =>
  `regexp_replace(left(${message}, ${FORM_LENGTH}), '${VARYING}', '#', 'gi') collate "C"`;

/** A text as it would stand in the form of an error. */
export const likeForms = (text: string): string => text.replace(new RegExp(VARYING, 'gi'), '#');
