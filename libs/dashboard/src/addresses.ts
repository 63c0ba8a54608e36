import { z } from 'zod';
import { text } from '#http';

/** Whether an address is a path of the dashboard. */
export const isOurs = (url: unknown): boolean =>
  typeof url === 'string' && /^\/dashboard(?![^/?#])/.test(url);

/** The address of a page with these parameters; those that are not given are left out. */
export function address(path: string, parameters: Record<string, string | undefined> = {}): string {
  const given = Object.entries(parameters).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  return given.length > 0 ? `/dashboard${path}?${new URLSearchParams(given)}` : `/dashboard${path}`;
}

/** The address of a job's page. */
export const jobPath = (id: string): string => `/dashboard/jobs/${encodeURIComponent(id)}`;

/** A text in the address of a page that only looks: what cannot be understood counts as not given. Never for actions. */
export const optionalText = text(200)
  .transform((value) => value.trim())
  .pipe(z.string().min(1))
  .optional()
  .catch(undefined);
