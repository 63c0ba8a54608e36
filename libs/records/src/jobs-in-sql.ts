import { hasEnded, jobStates } from '#define-job';

/** What statements of other libs say of jobs, in SQL: the columns of `jobs` are named in this lib only. */

/** The states of jobs that have not ended. */
export const OPEN_STATES = jobStates
  .filter((state) => !hasEnded(state))
  .map((state) => `'${state}'`)
  .join(', ');
/** What a cancellation sets: a job that waits ends at once, one that runs is told. */
export const CANCEL = `
  state = case when state = 'running' then state else 'cancelled' end,
  finished_at = case when state = 'running' then null else now() end,
  publish_at = case when state = 'running' then publish_at end,
  cancel_requested_at = coalesce(cancel_requested_at, now())`;
const IS_PUT_OFF = `publish_at is not null and state in ('scheduled', 'retrying', 'running')`;

/** Jobs that were put off, as a table: `id`, and the time `until` which. */
export const PUT_OFF_JOBS = `(select id, run_at as until from jobs where ${IS_PUT_OFF})`;

/** Jobs that succeeded, as a table: `id` and `at`. */
export const SUCCEEDED_JOBS = `(select id, finished_at as at from jobs where state = 'succeeded')`;

/** Dead letters, as a table: `name`, `queue`, `error_form` and `finished_at`, by which an index finds them. */
export const DEAD_JOBS = `(select name, queue, error_form, finished_at from jobs where state = 'dead')`;

/** Makes jobs due that were put off, and returns their ids. @param chosen a table with the column `job`. */
export const makeDue = (chosen: string) => `
  update jobs set publish_at = now(), run_at = now() from ${chosen} where id = ${chosen}.job and ${IS_PUT_OFF}
  returning id`;

/** Whether the job of an id has not ended. */
export const isOpen = (id: string) =>
  `exists (select from jobs where jobs.id = ${id} and jobs.state in (${OPEN_STATES}))`;

/** Whether a job of a batch has not ended. */
export const hasOpenJobs = (batch: string) =>
  `exists (select from jobs where jobs.batch = ${batch} and jobs.state in (${OPEN_STATES}))`;

/** The states of the jobs of a batch, as JSON: each with their number. */
export const countsByState = (batch: string) => `
  coalesce((
    select json_object_agg(c.state, c.count)
    from (select state, count(*)::int as count from jobs where jobs.batch = ${batch} group by state) c
  ), '{}')`;
