import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { isDocs } from '#http';

/** Swagger UI sets styles of its own. It loads nothing from elsewhere, and calls only this api. */
const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** Serves the api as a page to try it on: `GET /docs`. A browser asks for the API key, as the password of any user. */
export function serveDocs(app: NestFastifyApplication, document: OpenAPIObject): void {
  SwaggerModule.setup('docs', app, document, {
    raw: false,
    customSiteTitle: String(document.info.title),
    swaggerOptions: { persistAuthorization: false },
  });
  app
    .getHttpAdapter()
    .getInstance()
    .addHook('onSend', (request, reply, payload, done) => {
      if (isDocs(request)) reply.header('content-security-policy', CSP);
      done(null, payload);
    });
}
