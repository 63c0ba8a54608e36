import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { freePort } from '#testing/services';
import { composeRuns } from '../../scripts/services/compose.js';
import { type Clone, givenClone } from '../support/clone.js';
import { Guide } from '../support/guide.js';
import { givenProject, type Project } from './project.js';

/** A first build downloads every package. */
const LIMIT_MS = 1_800_000;

const hasEngine = await composeRuns();

(hasEngine ? describe : describe.skip)('with Docker', () => {
  let clone: Clone;
  let project: Project;
  let guide: Guide;

  beforeAll(async () => {
    clone = await givenClone();
    project = givenProject(clone.folder);
    guide = new Guide(clone, { ...project.environment, PORT: String(await freePort()) });
  });
  afterAll(async () => {
    await guide?.close();
    await project?.compose(['down', '--volumes', '--timeout', '0']);
    expect(await project?.remains()).toEqual([]);
    await clone?.close();
  });

  test(
    'anyone who follows the guide has a job that ran, failed, was repaired and replayed',
    () => guide.follow(true),
    LIMIT_MS,
  );
});
