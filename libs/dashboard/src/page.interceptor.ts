import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { map, type Observable } from 'rxjs';
import { isHtml } from './html.js';

/** Sends what a controller made of html`…` as a page. */
export class PageInterceptor implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const reply = context.switchToHttp().getResponse<FastifyReply>();
    return next.handle().pipe(
      map((answer) => {
        if (!isHtml(answer)) return answer;
        reply.type('text/html; charset=utf-8');
        return answer.toString();
      }),
    );
  }
}
