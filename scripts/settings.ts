import { realpathSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { describeSettings } from '#config';

/** `npm run settings`: writes the files that list the settings, from the schema that checks them. */

type SettingDescription = ReturnType<typeof describeSettings>[number];

const COLUMNS = 100;

/** Every file that lists the settings, by its path in the repository, with what it must hold. */
export function renderSettings(settings = describeSettings()): Record<string, string> {
  return {
    '.env.example': renderEnvExample(settings),
    'docs/settings.md': renderSettingsPage(settings),
  };
}

/** `.env.example`: all settings, each commented out, so that a copy of it changes nothing. */
export function renderEnvExample(settings: readonly SettingDescription[]): string {
  const head = wrap(
    'Copy this to .env, then uncomment and change what you need. The environment wins over the file, and an empty ' +
      'value counts as not set. Written by `npm run settings`; the same as a table: docs/settings.md',
  );
  const entries = settings.map(({ name, fallback, description }) =>
    [...wrap(description), `# ${name}=${quoted(fallback)}`].join('\n'),
  );
  return `${[head.join('\n'), ...entries].join('\n\n')}\n`;
}

/** `docs/settings.md`: the same as a table. */
export function renderSettingsPage(settings: readonly SettingDescription[]): string {
  const rows = settings.map(
    ({ name, fallback, description }) =>
      `| \`${name}\` | ${fallback ? `\`${escaped(fallback)}\`` : 'none'} | ${escaped(description)} |`,
  );
  return [
    '<!-- Written by `npm run settings` from libs/config/src/settings.ts. Change it there. -->',
    '',
    '# Settings',
    '',
    'Both apps read their settings from the environment and, for names that are not set there, from a file `.env` in',
    'the working directory; [.env.example](../.env.example) is one to start from. An empty value counts as not set.',
    'A setting that cannot be used stops the start, with one message that names every wrong one.',
    '',
    '| Name | Default | What it does |',
    '| --- | --- | --- |',
    ...rows,
    '',
  ].join('\n');
}

/** Breaks a text into comment lines. */
function wrap(text: string): string[] {
  const lines = ['#'];
  for (const word of text.split(' ')) {
    const line = `${lines.at(-1)} ${word}`;
    if (line.length > COLUMNS) lines.push(`# ${word}`);
    else lines[lines.length - 1] = line;
  }
  return lines;
}

/** In quotes where a shell that reads the file, too, would take it for more than a value. */
const quoted = (value: string) => (/^[\w:/@.,=+-]*$/.test(value) ? value : JSON.stringify(value));

const escaped = (text: string) => text.replaceAll('|', '\\|');

if (process.argv[1] && realpathSync(process.argv[1]) === import.meta.filename) {
  for (const [path, content] of Object.entries(renderSettings())) {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content);
    console.log(`Wrote ${path}`);
  }
}
