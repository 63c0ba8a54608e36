/** Milliseconds between two looks of a duty, for tests that wait for it; its own without a provider of this. */
export abstract class PollIntervals {
  abstract readonly deadLetterKeeper?: number;
  abstract readonly heldJobs?: number;
  abstract readonly relay?: number;
  abstract readonly startDeadlines?: number;
}
