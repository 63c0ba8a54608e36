import type { Notice } from './notices.js';

/** A message that is older says when it was written. */
const LATE_MS = 300_000;

/** For programs: as events of Standard Webhooks are. */
export const inJson = ({ type, ...data }: Notice, at: Date) => ({ type, timestamp: at.toISOString(), data });

/** What Slack and those that take its form show. @param now milliseconds since 1970. */
export function inSlacksForm({ title, lines, advice, link }: Notice, at: Date, now = Date.now()) {
  const isLate = now - at.getTime() > LATE_MS;
  const text = [
    `*${escaped(title)}*${isLate ? ` (${at.toISOString()})` : ''}`,
    ...lines.map((line) => `• ${asCode(line)}`),
    ...(advice ? [escaped(advice)] : []),
    ...(link ? [`<${escaped(link).replaceAll('|', '%7C')}|Open the dashboard>`] : []),
  ];
  return { text: text.join('\n'), unfurl_links: false, unfurl_media: false };
}

/** Within it nothing is a link, a mention or a format: jobs may hold what anybody wrote. */
const asCode = (text: string) => `\`${escaped(text).replace(/\s+/g, ' ').replaceAll('`', "'")}\``;

/** Slack has mentions in `<!…>`; others take `@all`, which a space of no width ends. */
const escaped = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('@', '@\u200b');
