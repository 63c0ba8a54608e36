/** A number for people, the same whatever the language of the machine: `12,345`. */
export const grouped = (count: number): string => count.toLocaleString('en-US');

/** So many of something, in words: `1 dead letter`, `1,000 dead letters`. */
export const counted = (count: number, one: string, many = `${one}s`): string =>
  `${grouped(count)} ${count === 1 ? one : many}`;
