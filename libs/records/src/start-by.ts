/** A time as milliseconds since 1970: parsing its text takes the driver longer than the rest of a row. */
export const epochMs = (column: string) => `date_part('epoch', ${column}) * 1000`;

/**
 * The options of a job with the time by which it must have started, counted from when it may run, if they say within which.
 *
 * @param key only if they have this.
 */
export const withStartBy = (options: string, runAt: string, key: 'startWithin' | 'startBy' = 'startWithin') =>
  `case when ${options} ? '${key}' then ${options} || jsonb_build_object('startBy',
     ${epochMs(runAt)} + (${options} ->> 'startWithin')::float8) else ${options} end`;
/** Whether a job `j` could not start in time. */
export const IS_LATE = `coalesce((j.options ->> 'startBy')::float8 <= ${epochMs('now()')}, false)`;
