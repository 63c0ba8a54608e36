import { STATUS_CODES } from 'node:http';
import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException, Logger } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ContractViolationError, IdempotencyConflictError, PayloadError, UnknownContractError } from '#jobs';
import { DatabaseUnavailableError, OverloadedError } from '#records';

/** Seconds after which a client should try again while the database is away. */
const RETRY_AFTER_S = 5;

/** Problem details for HTTP APIs, RFC 9457. */
export interface Problem {
  /** Names the kind of problem; `about:blank` when the status says it all. */
  type: string;
  title: string;
  status: number;
  detail?: string;
  /** What was wrong in the request and where, each with a JSON Pointer (RFC 6901). */
  errors?: readonly { pointer: string; detail: string }[];
  [extension: string]: unknown;
}

/** Thrown by a controller to answer with problem details. */
export class ProblemException extends HttpException {
  constructor(status: number, kind: string, detail: string, extensions: Partial<Problem> = {}) {
    super({ type: `urn:warren:problem:${kind}`, ...extensions, detail }, status);
  }
}

/** Answers every error as problem details, and tells nobody outside what an unexpected one was. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  private readonly logger = new Logger(ProblemFilter.name);

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const problem = answer(error, http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>());
    if (problem.status >= 500 && problem.status !== 503) this.logger.error(error);
  }
}

/** Answers with the problem that an error is; also for what Fastify finds before Nest is asked, such as a broken URL. */
export function answer(error: unknown, request: FastifyRequest, reply: FastifyReply): Problem {
  const problem = toProblem(error);
  if (problem.status === 503) reply.header('retry-after', RETRY_AFTER_S);
  if (problem.status === 401) reply.header('www-authenticate', 'Bearer');
  // The rest of a refused body is not read: the connection is of no more use.
  if (problem.status === 413) reply.header('connection', 'close');
  void reply
    .status(problem.status)
    .type('application/problem+json')
    .send({ ...problem, instance: request.url.split('?')[0] });
  return problem;
}

function toProblem(error: unknown): Problem {
  const of = (
    status: number,
    kind: string | undefined,
    detail?: string,
    extensions: Partial<Problem> = {},
  ): Problem => ({
    type: kind ? `urn:warren:problem:${kind}` : 'about:blank',
    title: STATUS_CODES[status] ?? 'Error',
    status,
    detail,
    ...extensions,
  });
  if (error instanceof ContractViolationError) {
    return of(422, 'payload-does-not-fit', `The ${error.part} does not fit the contract ${error.contract}`, {
      errors: error.violations,
    });
  }
  if (error instanceof PayloadError) return of(error.tooLarge ? 413 : 422, 'payload-unusable', error.message);
  if (error instanceof IdempotencyConflictError) return of(422, 'idempotency-key-reused', error.message);
  if (error instanceof UnknownContractError) return of(404, 'unknown-contract', error.message);
  if (error instanceof DatabaseUnavailableError || error instanceof OverloadedError) {
    return of(
      503,
      'not-now',
      'Nothing can be recorded at the moment. Try again later; with an Idempotency-Key that makes no second job.',
    );
  }
  if (error instanceof HttpException) {
    const response = error.getResponse();
    const status = error.getStatus();
    if (error instanceof ProblemException)
      return { ...of(status, undefined), ...(response as Partial<Problem>) };
    // What terminus found out stands in its answer.
    const checks = typeof response === 'object' && 'details' in response ? response.details : undefined;
    return of(
      status,
      undefined,
      checks ? 'Not ready' : (ADVICE[status] ?? error.message),
      checks ? { checks } : {},
    );
  }
  // Errors of Fastify itself that Nest did not map.
  const { statusCode, message } = error as { statusCode?: number; message?: string };
  if (statusCode && statusCode >= 400 && statusCode < 500) {
    return of(statusCode, undefined, ADVICE[statusCode] ?? message);
  }
  return of(500, undefined, 'An unexpected error; the log of the api says more');
}

/** What to do about problems that Fastify finds before a controller is asked. */
const ADVICE: Record<number, string> = {
  413: 'The body is too large: the setting MAX_PAYLOAD bounds the payload of a job',
  415: 'Send the body as content-type: application/json',
};
