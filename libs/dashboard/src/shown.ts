import { counted } from '#config';

/** More than this of one value helps nobody, and makes a slow page. */
const MAX_SHOWN = 64 * 1024;

/** A payload or a result as text. `JobQueries` has taken the secrets out. */
export function shownJson(value: unknown): string {
  const text = JSON.stringify(value, null, 2) ?? 'nothing';
  if (text.length <= MAX_SHOWN) return text;
  return `${text.slice(0, MAX_SHOWN)}\n… and ${counted(text.length - MAX_SHOWN, 'character')} more: GET /jobs/{id} has all of it`;
}
