import { STATUS_CODES } from 'node:http';
import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException, Logger } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import {
  ContractViolationError,
  EnqueueRefusedError,
  IdempotencyConflictError,
  NotEndedError,
  PayloadError,
  toViolations,
  UnknownContractError,
  UnknownJobError,
} from '#jobs';
import { DatabaseUnavailableError, InputError, OverloadedError } from '#records';
import { isDocs } from './docs-key.js';

/** Seconds after which a client should try again while the database is away. */
const RETRY_AFTER_S = 5;

/** On every answer: take the content type as it is said, and keep no copy of what only somebody with a key may see. */
export const SECURITY_HEADERS = new Map([
  ['x-content-type-options', 'nosniff'],
  ['cache-control', 'no-store'],
]);

/** Problem details for HTTP APIs, RFC 9457. */
export interface Problem {
  /** Names the kind of problem; `about:blank` when the status says it all. */
  type: string;
  title: string;
  status: number;
  detail?: string;
  /** What was wrong in the request and where, each with a JSON Pointer (RFC 6901). */
  errors?: readonly { pointer?: string; detail: string }[];
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
  if (problem.status === 401)
    reply.header('www-authenticate', isDocs(request) ? 'Basic realm="an API key as the password"' : 'Bearer');
  // What of a refused body has not come is not read: the connection is of no more use.
  if (hasBody(request) && !request.raw.complete) reply.header('connection', 'close');
  void reply
    .status(problem.status)
    .type('application/problem+json')
    .send({ ...problem, instance: request.url.split('?')[0] });
  return problem;
}

/** Whether a request has a body, as its head tells. */
export const hasBody = ({ headers }: FastifyRequest): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;

/** Puts together a problem of a kind; of one without a kind the status says it all. */
export const problemOf = (
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

/** What an error is to the client of a request. */
export function toProblem(error: unknown): Problem {
  if (error instanceof ContractViolationError) {
    return problemOf(
      422,
      'payload-does-not-fit',
      `The ${error.part} does not fit the contract ${error.contract}`,
      { errors: error.violations },
    );
  }
  // Nobody else parses with zod and lets it throw but a controller of one's own, at what a client sent.
  if (error instanceof z.ZodError) {
    return problemOf(422, 'request-does-not-fit', MISFIT, { errors: toViolations(error.issues) });
  }
  if (error instanceof InputError) {
    return problemOf(422, 'request-does-not-fit', error.message, {
      errors: [{ pointer: `/options/${error.option.replaceAll('.', '/')}`, detail: error.detail }],
    });
  }
  if (error instanceof EnqueueRefusedError) return problemOf(422, 'refused', error.message);
  if (error instanceof UnknownJobError) return problemOf(404, 'unknown-job', error.message);
  if (error instanceof NotEndedError) return problemOf(409, 'not-ended', error.message);
  if (error instanceof PayloadError)
    return problemOf(error.tooLarge ? 413 : 422, 'payload-unusable', error.message);
  if (error instanceof IdempotencyConflictError)
    return problemOf(422, 'idempotency-key-reused', error.message);
  if (error instanceof UnknownContractError) return problemOf(404, 'unknown-contract', error.message);
  if (error instanceof DatabaseUnavailableError || error instanceof OverloadedError) {
    return problemOf(
      503,
      'not-now',
      'Nothing can be recorded at the moment. Try again later; with an Idempotency-Key that makes no second job.',
    );
  }
  if (error instanceof HttpException) return ofHttpException(error);
  // Errors of Fastify itself that Nest did not map.
  const { statusCode, message } = error as { statusCode?: number; message?: string };
  if (statusCode && statusCode >= 400 && statusCode < 500) {
    return problemOf(statusCode, undefined, ADVICE[statusCode] ?? message);
  }
  return problemOf(500, undefined, 'An unexpected error; the log of the api says more');
}

/** Of what Nest's own pipes, Nest's terminus and controllers of one's own throw. */
function ofHttpException(error: HttpException): Problem {
  const response = error.getResponse();
  const status = error.getStatus();
  if (error instanceof ProblemException)
    return { ...problemOf(status, undefined), ...(response as Partial<Problem>) };
  const isOfFastify = (error.cause as { code?: string } | undefined)?.code?.startsWith('FST_');
  const advice = isOfFastify ? ADVICE[status] : undefined;
  if (typeof response === 'string') return problemOf(status, undefined, advice ?? response);
  const { statusCode: _, error: __, message, ...rest } = response as Record<string, unknown>;
  // What terminus found out stands in its answer.
  if ('details' in rest) return problemOf(status, undefined, 'Not ready', { checks: rest.details });
  // Nest's pipes tell all that they found in a list.
  if (Array.isArray(message))
    return problemOf(status, undefined, MISFIT, {
      errors: message.map((detail) => ({ detail: String(detail) })),
    });
  return problemOf(status, undefined, advice ?? String(message ?? error.message), rest);
}

/** What is said of a body or a query that is not as it should be; its errors say more. */
export const MISFIT = 'The request is not what this call takes';
export const TOO_LARGE =
  'The body is too large: the setting MAX_PAYLOAD bounds the payload of a job, 64 KiB is the most of a form';

/** What to do about problems that Fastify finds before a controller is asked. */
const ADVICE: Record<number, string> = {
  413: TOO_LARGE,
  415: 'Send the body as content-type: application/json',
};
