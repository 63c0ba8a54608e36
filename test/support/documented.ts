import { type DynamicModule, RequestMethod, type Type } from '@nestjs/common';
import { METHOD_METADATA, MODULE_METADATA, PATH_METADATA } from '@nestjs/common/constants.js';
import { z } from 'zod';
import { ApiModule } from '../../apps/api/src/api.module.js';

/** What the routes of the api declare that they answer. */

interface Route {
  method: string;
  path: RegExp;
  answers: Record<string, { standardSchema?: z.ZodType }>;
}

const Problem = z.looseObject({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string().optional(),
  instance: z.string(),
  errors: z.array(z.strictObject({ pointer: z.string().optional(), detail: z.string() })).optional(),
});

/**
 * Holds an answer in JSON against what its route declares: whatever the schema does not know, or misses, fails the test.
 *
 * @param path with or without a query.
 */
export function expectDocumented(method: string, path: string, status: number, body: unknown): void {
  if (body === undefined || /^\/(health|metrics|openapi)/.test(path)) return;
  const schema = status >= 400 ? Problem : schemaOf(method, path.split('?')[0] as string, status);
  const checked = schema?.safeParse(body);
  if (checked?.success) return;
  const problem = checked ? z.prettifyError(checked.error) : 'no schema is declared for it';
  throw new Error(`${method} ${path} answered ${status} with what is not documented: ${problem}`);
}

function schemaOf(method: string, path: string, status: number): z.ZodType | undefined {
  const route = routes.find((route) => route.method === method && route.path.test(path));
  return route?.answers[status]?.standardSchema;
}

function controllersOf(module: Type | DynamicModule): Type[] {
  if ('module' in module) return controllersOf(module.module);
  const imports: (Type | DynamicModule)[] = Reflect.getMetadata(MODULE_METADATA.IMPORTS, module) ?? [];
  const own: Type[] = Reflect.getMetadata(MODULE_METADATA.CONTROLLERS, module) ?? [];
  return [...own, ...imports.flatMap(controllersOf)];
}

function routesOf(controller: Type): Route[] {
  const root = Reflect.getMetadata(PATH_METADATA, controller);
  return Object.getOwnPropertyNames(controller.prototype).flatMap((name) => {
    const handler = controller.prototype[name];
    const path = Reflect.getMetadata(PATH_METADATA, handler);
    if (path === undefined) return [];
    const parts = `/${root}/${path}`.split('/').filter(Boolean);
    return {
      method: RequestMethod[Reflect.getMetadata(METHOD_METADATA, handler)] as string,
      path: new RegExp(`^/${parts.map((part) => (part.startsWith(':') ? '[^/]+' : part)).join('/')}$`),
      answers: Reflect.getMetadata('swagger/apiResponse', handler) ?? {},
    };
  });
}

// What is named beats a parameter: GET /dead-letters/replay is not one.
const routes = controllersOf(ApiModule)
  .flatMap(routesOf)
  .sort((a, b) => Number(a.path.source.includes('[^')) - Number(b.path.source.includes('[^')));
