import { STATUS_CODES } from 'node:http';
import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException, Logger } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { toProblem } from '#http';
import { InputError } from '#records';
import { Page } from './components/page.js';
import { Text } from './components/values.js';
import type { DashboardRequest } from './dashboard.guard.js';
import { renderPage } from './render.js';

/** Answers errors with a page; anyone who is not signed in is sent to the sign-in. */
@Catch()
export class ErrorPageFilter implements ExceptionFilter {
  private readonly logger = new Logger('Dashboard');

  catch(error: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<DashboardRequest>();
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    const { status } = toProblem(error);
    if (status === 401) {
      const to = request.method === 'GET' ? `?to=${encodeURIComponent(request.url)}` : '';
      return void reply.redirect(`/dashboard/sign-in${to}`, 303);
    }
    if (status === 500) this.logger.error(error);
    const title = STATUS_CODES[status] ?? 'Error';
    const page = (
      <Page title={title}>
        <p>{adviceOf(error, status)}</p>
        <Text to="/dashboard" of="To the overview" />
      </Page>
    );
    void reply.status(status).type('text/html; charset=utf-8').send(renderPage(page, request.visitor));
  }
}

function adviceOf(error: unknown, status: number): string {
  if (status === 404)
    return 'There is nothing here. Jobs are deleted some time after they ended (JOB_RETENTION).';
  if (status === 503)
    return 'The database cannot be asked at the moment. Jobs that were accepted are safe; try again in a moment.';
  return error instanceof HttpException || error instanceof InputError
    ? error.message
    : 'Something went wrong. The log of the api says what.';
}
