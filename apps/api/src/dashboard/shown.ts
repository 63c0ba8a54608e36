import { counted } from '#config';

/** More than this of one value helps nobody, and makes a slow page. */
const MAX_SHOWN = 64 * 1024;

/** A payload or a result as text. `Views` has taken the secrets out. */
export function shownJson(value: unknown): string {
  const text = JSON.stringify(value, null, 2) ?? 'nothing';
  if (text.length <= MAX_SHOWN) return text;
  return `${text.slice(0, MAX_SHOWN)}\n… and ${counted(text.length - MAX_SHOWN, 'character')} more: GET /jobs/{id} has all of it`;
}

/** The body of a foreign message, as it was noted without its secrets: as JSON or text where it is that, else its bytes in hexadecimal digits. */
export function shownBytes(bytes: Buffer): string {
  // The end of what was kept may lie within a character.
  const text = new TextDecoder().decode(bytes, { stream: true });
  try {
    return shownJson(JSON.parse(text));
  } catch {
    // No JSON, or only the beginning of one.
  }
  if (!text.includes('\uFFFD')) return text;
  return bytes.subarray(0, 1_024).toString('hex').replace(/(..)/g, '$1 ');
}
