import { z } from 'zod';
import type { AnyContract } from '#define-job';

/**
 * The JSON Schema of what a producer hands over, to stand in a document of which it is a part; what is secret is
 * `writeOnly`.
 *
 * @param place where it will stand, as a JSON Pointer (`#/components/schemas/email.send`): a schema that refers to
 * itself does so from the root of the document.
 */
export function payloadSchema(
  { payload }: AnyContract,
  place: string,
  target: 'draft-7' | 'draft-2020-12' = 'draft-2020-12',
): Record<string, unknown> {
  const { $schema: _, ...schema } = z.toJSONSchema(payload as z.ZodType, {
    io: 'input',
    unrepresentable: 'any',
    target,
  });
  return JSON.parse(JSON.stringify(schema), (key, value) =>
    key === '$ref' && typeof value === 'string' ? value.replace('#', place) : value,
  );
}
