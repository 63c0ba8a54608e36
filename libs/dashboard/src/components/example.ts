type Schema = Record<string, unknown>;

const FORMATS: Record<string, string> = {
  email: 'ada@example.com',
  uri: 'https://example.com/',
  uuid: '00000000-0000-4000-8000-000000000000',
  date: '2027-01-31',
  'date-time': '2027-01-31T09:00:00Z',
};

/** A value that is like what a JSON Schema asks for, to begin with: what is required, with examples where the schema has some. */
export function exampleOf(schema: Schema = {}): unknown {
  const { examples, default: fallback, const: only, enum: choices, anyOf, oneOf, allOf } = schema;
  const [given] = [examples, choices].flatMap((list) => (Array.isArray(list) ? list.slice(0, 1) : []));
  const known = given ?? fallback ?? only;
  if (known !== undefined) return known;
  const [inner] = [anyOf, oneOf, allOf].flatMap((list) => (Array.isArray(list) ? list.slice(0, 1) : []));
  if (inner) return exampleOf(inner as Schema);
  const { type, format, properties = {}, required = [], items, minItems, minimum, exclusiveMinimum } = schema;
  switch (type) {
    case 'object':
      return Object.fromEntries(
        (required as string[]).map((key) => [key, exampleOf((properties as Record<string, Schema>)[key])]),
      );
    case 'array':
      return minItems ? [exampleOf(items as Schema)] : [];
    case 'string':
      return FORMATS[format as string] ?? '';
    case 'integer':
    case 'number':
      return Math.max(Number(minimum ?? 0), Number(exclusiveMinimum ?? -1) + 1);
    case 'boolean':
      return false;
    default:
      return null;
  }
}
