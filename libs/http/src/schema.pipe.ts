import type { ArgumentMetadata, PipeTransform } from '@nestjs/common';
import { toViolations } from '#jobs';
import { MISFIT, ProblemException } from './problem.filter.js';

/**
 * Checks what a route declares, `@Body({ schema: EnqueueBody }) body: EnqueueBody`, and hands on what the schema made of
 * it. Any Standard Schema will do. A body that does not fit is a 422, anything else of a request a 400.
 */
export class SchemaPipe implements PipeTransform {
  transform(value: unknown, { schema, type }: ArgumentMetadata): unknown {
    if (!schema) return value;
    const checked = schema['~standard'].validate(value);
    if (value === undefined && type === 'body' && (checked instanceof Promise || checked.issues))
      throw new ProblemException(400, 'no-body', 'The request has no body: send JSON');
    return checked instanceof Promise ? checked.then((result) => read(result, type)) : read(checked, type);
  }
}

type Checked = Awaited<ReturnType<NonNullable<ArgumentMetadata['schema']>['~standard']['validate']>>;

function read(checked: Checked, type: ArgumentMetadata['type']): unknown {
  if (!checked.issues) return checked.value;
  throw new ProblemException(type === 'body' ? 422 : 400, 'request-does-not-fit', MISFIT, {
    errors: toViolations(checked.issues),
  });
}
