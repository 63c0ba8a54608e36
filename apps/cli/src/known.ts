import { notFound } from './exit.js';
import { clean } from './output.js';
import type { Tools } from './tools.js';

/** Filters that can be misspelled. */
export interface Named {
  queue?: string;
  name?: string;
  batch?: string;
}

/** Tells an empty result from a misspelled filter. @throws Failure when no contract and no job has the name. */
export async function mustBeKnown(
  { contracts, queries }: Tools,
  { queue, name, batch }: Named,
): Promise<void> {
  const hasJobs = async (filter: Named) => (await queries.list({ ...filter, limit: 1 })).length > 0;
  if (queue !== undefined && !contracts.queues.has(queue) && !(await hasJobs({ queue })))
    throw notFound(`No contract has a queue named ${clean(queue)}, and no job is in one`);
  if (name !== undefined && !contracts.find(name) && !(await hasJobs({ name })))
    throw notFound(`No contract is named ${clean(name)}, and no job is of one`);
  if (batch !== undefined && !(await hasJobs({ batch }))) throw notFound(`No batch has the id ${batch}`);
}
