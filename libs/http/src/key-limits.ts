import { createParamDecorator, type ExecutionContext, NotFoundException, SetMetadata } from '@nestjs/common';
import type { ModuleRef } from '@nestjs/core';
import type { FastifyRequest } from 'fastify';
import type { ApiKey, Scope } from '#config';
import { JobQueries } from '#records';
import { Id } from '#resources';
import type { Sender } from './audited.js';
import { isDocs } from './docs-key.js';
import { isAction } from './origin.js';
import { ProblemException } from './problem.filter.js';

/**
 * What a key with limits may do. Whatever does not say which scope it takes, or which contracts it concerns, is refused to
 * it; so a new route that says neither is no way around a limit.
 */

type Limits = NonNullable<ApiKey['limits']>;

/** The contracts that a request concerns, by name; none when it does not say which; undefined when there is nothing of the id in its path. */
export type ContractsOf = (
  request: FastifyRequest,
  modules: ModuleRef,
) => unknown[] | undefined | Promise<unknown[] | undefined>;

/** Kept in the configuration of a Fastify route. */
export interface RouteAccess {
  scope?: Scope | 'any';
  contracts?: ContractsOf;
}

/** What a route takes; one that only reads takes `read` without it. */
export const Scoped = (scope: Scope | 'any') => SetMetadata('scope', scope);

/** Which contracts a route concerns; without it, all. */
export const OfContracts = (contracts: ContractsOf) => SetMetadata('contracts', contracts);

/** Those that a query or a body names: whatever stands under `name` or `job`, but in payloads. */
export const named: ContractsOf = ({ method, query, body }) => namesIn(isAction({ method }) ? body : query);

function namesIn(value: unknown): unknown[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    if (['payload', 'payloads', 'patch'].includes(key)) return [];
    return key === 'name' || key === 'job' ? [inner] : namesIn(inner);
  });
}

/** That of the job whose id is in the path. */
export const jobInPath: ContractsOf = async ({ params }, modules) => {
  const { id } = params as { id: string };
  const queries = modules.get(JobQueries, { strict: false });
  const job = Id.safeParse(id).success ? await queries.outcomeOf(id) : undefined;
  return job && [job.name];
};

/** Whether the key of a request has a scope: `@May('read') mayRead: boolean`. */
export const May = createParamDecorator((scope: Scope, context: ExecutionContext): boolean =>
  has(context.switchToHttp().getRequest<Sender>().limits, scope),
);

const has = (limits: Limits | undefined, scope: Scope): boolean =>
  !limits || limits.scopes.includes(scope) || (scope === 'read' && limits.scopes.includes('operate'));

/** What a route takes: undefined when it changes something and does not say. */
export const scopeOf = (method: string, { scope }: RouteAccess): RouteAccess['scope'] =>
  scope ?? (isAction({ method }) ? undefined : 'read');

/** Decides by the head of a request. @throws ProblemException when its key is not for such a route. */
export function checkRoute({ limits, method, routeOptions }: FastifyRequest & Sender): void {
  // The pages that describe the api are for every key.
  if (!limits || isDocs({ url: routeOptions.url ?? '' })) return;
  const access = routeOptions.config as RouteAccess;
  const scope = scopeOf(method, access);
  if (scope === undefined)
    throw scopeMissing(`The key ${limits.name} has scopes, and this call takes a key without any`);
  if (scope === 'any') return;
  if (!has(limits, scope))
    throw scopeMissing(
      `The key ${limits.name} may not do this: it takes a key with the scope ${scope}`,
      scope,
    );
  if (limits.contracts && !access.contracts)
    throw contractNotAllowed(limits, 'this call is about jobs of all contracts');
}

/** Decides by all of a request. @throws ProblemException when its key is not for what is asked for. */
export async function checkContracts(request: FastifyRequest & Sender, modules: ModuleRef): Promise<void> {
  const { limits, method, routeOptions } = request;
  if (!limits) return;
  const access = routeOptions.config as RouteAccess;
  const { payload, patch } = (request.body ?? {}) as Record<string, unknown>;
  if (
    scopeOf(method, access) === 'operate' &&
    (payload !== undefined || patch !== undefined) &&
    !has(limits, 'enqueue')
  )
    throw scopeMissing(
      `The key ${limits.name} may not choose a payload: it takes a key with the scope enqueue, too`,
      'enqueue',
    );
  if (!limits.contracts || !access.contracts) return;
  const names = await access.contracts(request, modules);
  if (!names) throw new NotFoundException(`Nothing has the id or name in ${request.url.split('?')[0]}`);
  if (names.length === 0) throw contractNotAllowed(limits, 'this call has to name a contract');
  const patterns = limits.contracts.map(
    (pattern) => new RegExp(`^${pattern.replaceAll('.', '\\.').replaceAll('*', '.*')}$`),
  );
  const foreign = names.find(
    (name) => typeof name !== 'string' || !patterns.some((pattern) => pattern.test(name)),
  );
  if (foreign === undefined) return;
  const contract = String(foreign).slice(0, 100);
  throw contractNotAllowed(limits, `this call is about ${contract}`, contract);
}

export const scopeMissing = (detail: string, scope?: Scope) =>
  new ProblemException(403, 'scope-missing', detail, { scope });

const contractNotAllowed = ({ name, contracts = [] }: Limits, reason: string, contract?: string) =>
  new ProblemException(
    403,
    'contract-not-allowed',
    `The key ${name} is for the contracts ${contracts.join(', ')} only: ${reason}`,
    { contract },
  );
