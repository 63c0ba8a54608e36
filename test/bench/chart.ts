/** One bar of a chart. */
export interface Bar {
  label: string;
  /** What to bear in mind when comparing. */
  note?: string;
  value: number;
}

const [WIDTH, LABELS, FIGURES, ROW, TITLE, LINE] = [760, 110, 90, 46, 26, 16];
/** Characters of a note that fit into the width. */
const NOTE_LENGTH = 125;

/**
 * Draws horizontal bars as an SVG that reads on light and dark pages, the first bar being the one that it is about.
 *
 * @param digits after the point.
 */
export function barChart({
  title,
  note,
  bars,
  digits = 0,
}: {
  title: string;
  note: string;
  bars: readonly Bar[];
  digits?: number;
}): string {
  const most = Math.max(...bars.map(({ value }) => value));
  const lines = wrapped(note);
  const top = TITLE + lines.length * LINE + 16;
  const height = top + bars.length * ROW + 8;
  const rows = bars.map(({ label, note = '', value }, index) => {
    const y = top + index * ROW;
    const width = Math.max(1, (value / most) * (WIDTH - LABELS - FIGURES));
    const figure = value.toLocaleString('en', { maximumFractionDigits: digits });
    return [
      `<text class="label" x="${LABELS - 10}" y="${y + 17}" text-anchor="end">${escaped(label)}</text>`,
      `<rect class="${index === 0 ? 'own' : 'other'}" x="${LABELS}" y="${y}" width="${width.toFixed(1)}" height="24" rx="3"/>`,
      `<text class="label" x="${(LABELS + width + 8).toFixed(1)}" y="${y + 17}">${figure}</text>`,
      `<text class="note" x="${LABELS}" y="${y + 38}">${escaped(note)}</text>`,
    ].join('\n');
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escaped(title)}">
<style>
text { font-family: system-ui, sans-serif; fill: #1f2933; }
.title { font-size: 17px; font-weight: 600; }
.label { font-size: 14px; }
.note { font-size: 11.5px; fill: #66727f; }
.own { fill: #b4531f; }
.other { fill: #9fb0c0; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6eaee; }
  .note { fill: #9aa7b4; }
  .own { fill: #e88a4f; }
  .other { fill: #52606d; }
}
</style>
<text class="title" x="0" y="20">${escaped(title)}</text>
${lines.map((line, index) => `<text class="note" x="0" y="${TITLE + (index + 1) * LINE - 2}">${escaped(line)}</text>`).join('\n')}
${rows.join('\n')}
</svg>
`;
}

/** Lines of words, each of them no longer than fits. */
function wrapped(text: string): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const line = `${lines.pop() ?? ''} ${word}`.trim();
    if (line.length <= NOTE_LENGTH) lines.push(line);
    else lines.push(line.slice(0, -word.length - 1), word);
  }
  return lines;
}

const escaped = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
