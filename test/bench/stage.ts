import type { Environment } from '#testing/services';
import type { Services } from '../../scripts/services.js';

/** What a suite is played on. */
export interface Stage {
  services: Services;
  environment: Environment;
  quick: boolean;
  /** Whether phases last as long as is told of peers. */
  long: boolean;
  /** As many as were asked for; undefined for the suite's own number. */
  rounds: number | undefined;
  /** The parts that were asked for; undefined for all. */
  only: readonly string[] | undefined;
  log(line: string): void;
  /** Waits for a task, and for nothing any more once the bench is to end. */
  during<T>(task: Promise<T>): Promise<T>;
}

/** What a suite found. */
export interface Findings {
  markdown: string;
  /** Every figure of every round. */
  figures: unknown;
  /** SVG. */
  chart?: string;
}

export type Suite = (stage: Stage) => Promise<Findings>;

/** Plays something several times, one after the other, and logs the figures of each. */
export async function inRounds<Round>(
  rounds: number,
  { during, log }: Pick<Stage, 'during' | 'log'>,
  play: () => Promise<Round>,
): Promise<Round[]> {
  const played: Round[] = [];
  for (let round = 1; round <= rounds; round++) {
    const figures = await during(play());
    played.push(figures);
    log(`round ${round}: ${JSON.stringify(figures)}`);
  }
  return played;
}
