import { grouped } from '#config';
import type { OutcomeCounts } from '#records';

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

type TallyAt = OutcomeCounts & { at: Date };

interface ChartProps {
  /** What it shows, in words, for those who do not see it. */
  label: string;
  note: string;
  tallies: readonly TallyAt[];
}

/** Bars over time, drawn on the server: how many attempts succeeded, failed, and failed for good. */
export function Chart({ label, note, tallies }: ChartProps) {
  const sums = tallies.map((tally) => parts.reduce((sum, [outcome]) => sum + tally[outcome], 0));
  const top = niceTop(Math.max(...sums));
  const lines = Array.from({ length: GRID_LINES + 1 }, (_, index) => index / GRID_LINES);
  const step = WIDTH / tallies.length;
  return (
    <figure>
      <div class="plot">
        <ol class="scale" aria-hidden="true">
          {lines.map((part) => (
            <li>{grouped(top * (1 - part))}</li>
          ))}
        </ol>
        <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={label}>
          {lines.map((part) => (
            <line x1="0" x2={WIDTH} y1={part * HEIGHT} y2={part * HEIGHT} />
          ))}
          {tallies.map((tally, index) => (
            <Bar tally={tally} top={top} x={index * step} step={step} />
          ))}
        </svg>
      </div>
      <ol class="times" aria-hidden="true">
        {lines.map((part) => (
          <li>{clock(tallies[Math.round(part * (tallies.length - 1))]?.at)}</li>
        ))}
      </ol>
      <figcaption>
        {parts.map(([outcome, name]) => (
          <span class={`key ${outcome}`}>{name}</span>
        ))}
        <span>{note}</span>
      </figcaption>
    </figure>
  );
}

function Bar({ tally, top, x, step }: { tally: TallyAt; top: number; x: number; step: number }) {
  let y = HEIGHT;
  const told = parts.map(([outcome, name]) => `${grouped(tally[outcome])} ${name}`);
  return (
    <g>
      <title>{[clock(tally.at), ...told].join('\n')}</title>
      <rect class="touch" x={x.toFixed(1)} y="0" width={step.toFixed(1)} height={HEIGHT} />
      {parts.map(([outcome]) => {
        if (tally[outcome] === 0) return null;
        // What is rare must be seen, too.
        const height = Math.max(1.5, (tally[outcome] / top) * HEIGHT);
        y -= height;
        const place = { x: x.toFixed(1), y: y.toFixed(1), width: (step * 0.78).toFixed(1) };
        return <rect class={outcome} {...place} height={height.toFixed(1)} />;
      })}
    </g>
  );
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
