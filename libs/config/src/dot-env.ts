import { existsSync, readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';

/** Adds what a file `.env` in the working directory says to the environment. What is set there already stays. */
export function loadDotEnv(): void {
  if (!existsSync('.env')) return;
  // Editors on Windows write a byte order mark first, which Node would take for a part of the first name.
  const text = readFileSync('.env', 'utf8').replace(/^\uFEFF/, '');
  for (const [name, value] of Object.entries(parseEnv(text))) process.env[name] ??= value;
}
