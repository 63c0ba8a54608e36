import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { map, type Observable } from 'rxjs';
import type { DashboardRequest } from './dashboard.guard.js';
import { isPage, renderPage } from './render.js';

/** Sends the JSX that a controller answered with as a page. */
export class PageInterceptor implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const http = context.switchToHttp();
    return next.handle().pipe(
      map((answer) => {
        if (!isPage(answer)) return answer;
        http.getResponse<FastifyReply>().type('text/html; charset=utf-8');
        return renderPage(answer, http.getRequest<DashboardRequest>().visitor);
      }),
    );
  }
}
