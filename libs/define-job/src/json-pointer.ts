/** A key as a part of a JSON Pointer (RFC 6901). */
export const pointerTo = (key: PropertyKey): string =>
  `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`;
