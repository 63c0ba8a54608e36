import { InvalidArgumentError } from 'commander';
import { type JobRetry, problemWithRetry } from '#define-job';
import { wrongUse } from './exit.js';
import { clean } from './output.js';

/** Parses a time. A date alone means 00:00 UTC; a time without an offset is local. */
export function readTime(text: string): Date {
  const time = new Date(text);
  if (/^\d{4}-\d\d-\d\d/.test(text) && !Number.isNaN(time.getTime())) return time;
  throw new InvalidArgumentError('It is not a valid time: write it as 2027-01-31T09:00:00Z.');
}

/** Makes a parser of whole numbers from 1 to `most`. */
export const readCount =
  (most: number) =>
  (text: string): number => {
    if (/^\d{1,9}$/.test(text) && Number(text) >= 1 && Number(text) <= most) return Number(text);
    throw new InvalidArgumentError(`It must be a whole number from 1 to ${most}.`);
  };

/** Parses when a job is tried again: delays with commas between them, or what `exponential` gives, as JSON. */
export function readRetry(text: string): JobRetry {
  try {
    const retry = text.startsWith('{') ? JSON.parse(text) : text.split(',').filter(Boolean);
    const problem = problemWithRetry(retry);
    if (problem === undefined) return retry;
    throw new Error(problem);
  } catch (error) {
    throw new InvalidArgumentError(`${(error as Error).message}.`);
  }
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Parses the id of a job or a batch. */
export function readId(text: string): string {
  if (UUID.test(text)) return text.toLowerCase();
  throw new InvalidArgumentError('It is not a valid id: a UUID is expected.');
}

/** Adds a tag to those before. */
export const readTags = (tag: string, before: string[] = []): string[] => [...before, tag];

/** Parses one of several ids, and adds it to those before. */
export const readIds = (text: string, before: string[] = []): string[] => [...before, readId(text)];

/** Parses JSON, with keys that are safe. */
export async function readJson(text: string): Promise<unknown> {
  const { parse } = await import('secure-json-parse');
  try {
    return parse(text);
  } catch (error) {
    throw wrongUse(`The payload is not valid JSON: ${clean((error as Error).message)}`);
  }
}

/** Parses a duration. @returns milliseconds. */
export async function readDelay(text: string | undefined): Promise<number | undefined> {
  if (text === undefined) return undefined;
  const { toMilliseconds } = await import('#config');
  try {
    return toMilliseconds(text as Parameters<typeof toMilliseconds>[0]);
  } catch (error) {
    throw wrongUse((error as Error).message);
  }
}
