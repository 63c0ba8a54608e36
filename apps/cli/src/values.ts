import { InvalidArgumentError } from 'commander';

/** What options take, read and checked. */

/** A point in time. A day alone begins in UTC; a time without an offset is of the local time zone. */
export function readTime(text: string): Date {
  const time = new Date(text);
  if (/^\d{4}-\d\d-\d\d/.test(text) && !Number.isNaN(time.getTime())) return time;
  throw new InvalidArgumentError('It is not a valid time: write it as 2027-01-31T09:00:00Z.');
}

/** A whole number from 1 to a largest one. */
export const readCount =
  (most: number) =>
  (text: string): number => {
    if (/^\d{1,9}$/.test(text) && Number(text) >= 1 && Number(text) <= most) return Number(text);
    throw new InvalidArgumentError(`It must be a whole number from 1 to ${most}.`);
  };

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** The id of a job or a batch. */
export function readId(text: string): string {
  if (UUID.test(text)) return text.toLowerCase();
  throw new InvalidArgumentError('It is not a valid id: a UUID is expected.');
}

/** The same for several, one after the other. */
export const readIds = (text: string, before: string[] = []): string[] => [...before, readId(text)];
