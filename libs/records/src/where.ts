import type { Redaction } from './job-queries.js';
import { checkText, InputError } from './text.js';

/** A value that payloads have at a place: a filter for jobs that no index helps. */
export interface Where {
  path: readonly string[];
  /** As text: `42` is the number and the text. */
  value: string;
}

const LENGTH = 500;

/** Reads a JSON Pointer and a value, `/customer/id:42`. @throws InputError */
export function readWhere(text: string): Where {
  checkText('where', text, LENGTH);
  const [, pointer = '', value = ''] = /^((?:\/[^/:]*)+):(.*)$/s.exec(text) ?? [];
  if (!pointer) throw new InputError('where', 'must be a JSON Pointer and a value, such as /customer/id:42');
  const path = pointer.slice(1).split('/');
  return { path: path.map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~')), value };
}

/**
 * Whether a payload has it, in SQL. JSON that PostgreSQL cannot make text of has nothing.
 *
 * @param hidden the contracts of which the place is secret: nobody is told what stands there.
 */
export const hasValue = ({ path, value, hidden }: Record<'path' | 'value' | 'hidden', string>): string =>
  `name <> all (${hidden}::text[]) and ${value}::text = case when position('\\u' in payload::text) > 0
    then payload_text(payload, ${path}::text[]) else payload #>> ${path}::text[] end`;

/** @throws InputError when the place is secret whatever the contract. */
export function hiddenAt({ path }: Where, redaction: Redaction | undefined): string[] {
  const hidden = redaction?.hiddenAt(path) ?? (redaction ? undefined : []);
  if (hidden) return hidden;
  throw new InputError('where', 'names what is secret');
}
