/** What became of a value at a place; undefined where there is none. */
interface Change {
  pointer: string;
  before: unknown;
  after: unknown;
}

/** How two values of JSON differ, place by place. */
export function changesOf(before: unknown, after: unknown, pointer = ''): Change[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  if (!isObject(before) || !isObject(after) || Array.isArray(before) !== Array.isArray(after))
    return [{ pointer: pointer || '/', before, after }];
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].flatMap((key) =>
    changesOf(before[key], after[key], `${pointer}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`),
  );
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;

export const Changes = ({ of }: { of: readonly Change[] }) => (
  <ul aria-label="Changes">
    {of.length === 0 && <li>Nothing is changed.</li>}
    {of.map(({ pointer, before, after }) => (
      <li>
        <code>{pointer}</code> <del>{told(before)}</del> <ins>{told(after)}</ins>
      </li>
    ))}
  </ul>
);

const told = (value: unknown) => (value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 300));
