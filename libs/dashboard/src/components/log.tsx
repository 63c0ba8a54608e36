import { type LogLine, lineText } from '#resources';
import { Section } from './page.js';
import { Text } from './values.js';

/** As many as one attempt has. */
export const SHOWN_LINES = 201;
const TONES: Partial<Record<LogLine['level'], string>> = { warn: 'amber', error: 'error', fatal: 'error' };

/** What the handler of a job logged, newest first as all that happened to it. Nothing where there is none. */
export const JobLog = ({ lines }: { lines: readonly LogLine[] }) =>
  lines.length > 0 && (
    <Section title="Log, newest first">
      <pre tabindex={0}>
        {lines.toReversed().map((line) => [
          `${line.at.toISOString()}  attempt ${line.attempt}  `,
          <Text of={line.level} kind={TONES[line.level]} />,
          // No text may look like a line of its own.
          `  ${lineText(line).replaceAll('\n', '\n    ')}\n`,
        ])}
      </pre>
      {lines.length === SHOWN_LINES && <p class="hint">GET /jobs/{'{id}'}/log has the lines before these.</p>}
    </Section>
  );
