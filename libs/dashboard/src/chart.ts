import type { OutcomeCounts } from '#records';
import { type Html, html } from './html.js';
import { number } from './parts.js';

/** Units of the drawing; it is stretched to the width that there is. */
const WIDTH = 1_000;
const HEIGHT = 160;
const GRID_LINES = 4;

/** One bar, from the ground up. */
const parts = [
  ['succeeded', 'succeeded'],
  ['retrying', 'failed, tried again'],
  ['dead', 'failed for good'],
] as const;

/** Bars over time, drawn on the server: how many attempts succeeded, failed, and failed for good. */
export function chart(label: string, tallies: readonly (OutcomeCounts & { at: Date })[]): Html {
  const sums = tallies.map((tally) => parts.reduce((sum, [outcome]) => sum + tally[outcome], 0));
  const top = niceTop(Math.max(...sums));
  const step = WIDTH / tallies.length;
  const barWidth = step * 0.78;
  const bars = tallies.map((tally, index) => {
    let height = 0;
    const rects = parts.map(([outcome]) => {
      if (tally[outcome] === 0) return null;
      // What is rare must be seen, too.
      const own = Math.max(1.5, (tally[outcome] / top) * HEIGHT);
      height += own;
      return html`<rect class="${outcome}" x="${(index * step).toFixed(1)}" y="${(HEIGHT - height).toFixed(1)}" width="${barWidth.toFixed(1)}" height="${own.toFixed(1)}"/>`;
    });
    const told = parts.map(([outcome, name]) => `${number(tally[outcome])} ${name}`).join('\n');
    return html`<g><title>${clock(tally.at)}
${told}</title><rect class="touch" x="${(index * step).toFixed(1)}" y="0" width="${step.toFixed(1)}" height="${HEIGHT}"/>${rects}</g>`;
  });
  const lines = Array.from({ length: GRID_LINES }, (_, index) => (index * HEIGHT) / GRID_LINES);
  return html`<figure class="chart"><div class="plot">
<ol class="scale" aria-hidden="true">${lines.map((_, index) => html`<li>${number(top * (1 - index / GRID_LINES))}</li>`)}<li>0</li></ol>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${label}">
${lines.map((y) => html`<line x1="0" x2="${WIDTH}" y1="${y}" y2="${y}"/>`)}${bars}</svg></div>
<ol class="times" aria-hidden="true">${[0, 0.25, 0.5, 0.75, 1].map((part) => html`<li>${clock(tallies[Math.round(part * (tallies.length - 1))]?.at)}</li>`)}</ol>
<figcaption>${parts.map(([outcome, name]) => html`<span class="key ${outcome}">${name}</span>`)}<span class="hint">times in UTC</span></figcaption></figure>`;
}

/** The next number up that can be quartered without fractions: 4, 8, 20, 40, 80, 200 and so on. */
function niceTop(value: number): number {
  const candidates = [4, 8, 20, 40, 80];
  const power = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(1, value))) - 1);
  return (candidates.find((candidate) => candidate * power >= value) ?? 100) * power;
}

/** `14:05`, or with its day where it is not today's. */
function clock(at: Date | undefined): string {
  if (!at) return '';
  const [day = '', hours = ''] = at.toISOString().split('T');
  const isToday = day === new Date().toISOString().slice(0, 10);
  return isToday ? hours.slice(0, 5) : `${day.slice(5)} ${hours.slice(0, 5)}`;
}
