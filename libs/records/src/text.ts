/** PostgreSQL holds no NUL, and the driver silently changes half of a surrogate pair: then another key would get its job. */

/** Something that was given cannot be used. Its message names it and says why. */
export class InputError extends TypeError {
  override readonly name = 'InputError';
  /** @param option what was given, such as `unique.key`. @param detail why not, as the rest of a sentence. */
  constructor(
    readonly option: string,
    readonly detail: string,
    options?: ErrorOptions,
  ) {
    super(`${option} ${detail}`, options);
  }
}

/** Whether PostgreSQL can hold a text as it is. */
export const isStorable = (text: string): boolean => !text.includes('\0') && text.isWellFormed();

/** A text without what PostgreSQL cannot hold. */
export const storable = (text: string): string => text.replaceAll('\0', '').toWellFormed();

/** @throws InputError unless a value is a text that can be held, of 1 to so many characters. */
export function checkText(option: string, value: unknown, maxLength: number): void {
  if (typeof value !== 'string') throw new InputError(option, `must be a string, not ${shownType(value)}`);
  if (value === '' || value.length > maxLength)
    throw new InputError(option, `must have 1 to ${maxLength} characters, not ${value.length}`);
  if (!isStorable(value)) throw new InputError(option, UNSTORABLE);
}

/** @throws InputError unless a value is a time that PostgreSQL and its clients can write. */
export function checkTime(option: string, value: unknown): void {
  const year = value instanceof Date ? value.getUTCFullYear() : Number.NaN;
  if (!(year >= 1 && year <= 9_999))
    throw new InputError(option, 'must be a valid Date of the years 1 to 9999');
}

export const UNSTORABLE = 'must contain neither NUL nor half of a surrogate pair';

const shownType = (value: unknown) => (value === null ? 'null' : typeof value);
