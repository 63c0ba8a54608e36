import type { ComponentChildren } from 'preact';
import { ProblemException } from '#http';
import { ContractViolationError, PayloadError, type Violation } from '#jobs';
import { Text } from './values.js';

/**
 * What is wrong with what somebody wrote, by what a task with it throws.
 *
 * @param pointer of errors that do not say where they are. @param kinds of errors that are about what was written, beside
 * those about JSON and payloads; others are thrown.
 */
export async function problemsIn(
  task: () => unknown,
  pointer: string,
  ...kinds: (new (
    ...given: never[]
  ) => Error)[]
): Promise<readonly Violation[]> {
  try {
    await task();
    return [];
  } catch (error) {
    if (error instanceof ContractViolationError) return error.violations;
    if (error instanceof SyntaxError) return [{ pointer: 'JSON', detail: error.message }];
    if (![PayloadError, ...kinds].some((kind) => error instanceof kind)) throw error;
    return [{ pointer, detail: (error as Error).message }];
  }
}

/** @throws ProblemException with the first problem, if there is one. */
export function mustBeRight([problem]: readonly Violation[]): void {
  if (problem)
    throw new ProblemException(422, 'request-does-not-fit', `${problem.pointer} ${problem.detail}`);
}

interface CheckedProps {
  /** Absent before it was checked. */
  problems?: readonly Violation[];
  /** What else the check has found. */
  found?: ComponentChildren;
  /** What can be done when nothing is wrong. */
  children: ComponentChildren;
}

/** What came of the check of an `Editor`. */
export const Checked = ({ problems, found, children }: CheckedProps) => (
  <div id="checked">
    {problems && problems.length > 0 && (
      <ul class="problem" role="alert" aria-label="What is wrong">
        {problems.map(({ pointer, detail }) => (
          <li>
            <code>{pointer}</code> <Text of={detail} />
          </li>
        ))}
      </ul>
    )}
    {found}
    {problems?.length === 0 && children}
  </div>
);
