import type { z } from 'zod';
import { REDACTED } from '#telemetry';
import { redact } from './redact.js';

/** Shorter texts occur in any sentence by chance. */
const MIN_LENGTH = 4;
/** Secrets of one job that are looked for. Where there are more, the whole text is redacted. */
const MAX_SECRETS = 100;

/** A value and the schema that says what in it is secret. */
export type Holder = readonly [value: unknown, schema?: z.core.$ZodType];

/** The secrets of one job, to be taken out of texts that may quote them. Gathered when such a text comes: for few jobs. */
export class JobSecrets {
  /** The texts to remove; null if they cannot be found out. */
  private values: string[] | null | undefined;

  /** @param holders gives what holds the secrets; may throw. */
  constructor(private readonly holders: () => readonly Holder[]) {}

  /** The text without secrets; only `[redacted]` if they cannot be found out. Never throws. */
  scrub(text: string): string {
    if (this.values === undefined) this.values = this.gather();
    return this.values
      ? this.values.reduce((rest, value) => rest.replaceAll(value, REDACTED), text)
      : REDACTED;
  }

  private gather(): string[] | null {
    const found = new Set<string>();
    const add = (secret: unknown): void => {
      if (typeof secret === 'object' && secret !== null) Object.values(secret).forEach(add);
      else if (typeof secret === 'string' || typeof secret === 'number') found.add(String(secret));
    };
    try {
      for (const [value, schema] of this.holders()) redact(value, schema, { found: add });
      const texts = [...found].filter(({ length }) => length >= MIN_LENGTH);
      if (texts.length > MAX_SECRETS) return null;
      // Longest first: otherwise the rest of a secret that contains another would stay.
      return [...new Set(texts.flatMap(formsOf))].sort((a, b) => b.length - a.length);
    } catch {
      return null;
    }
  }
}

/** The forms in which texts quote a value: as it is, in JSON, in a URL. */
const formsOf = (text: string) => [text, JSON.stringify(text).slice(1, -1), encodeURIComponent(text)];
