import { register } from 'node:module';

/**
 * Loaded with `node --import` before a built app or script. It exchanges the contracts and the handlers for those of
 * the suite, so that what is tested is the api, the worker and the scripts as they are deployed; and it can set the
 * clock of the process wrong, by FAULTS_CLOCK_MS.
 */
register('./replacements.js', import.meta.url);

const shift = Number(process.env.FAULTS_CLOCK_MS ?? 0);
if (shift !== 0) {
  const RealDate = Date;
  globalThis.Date = class extends RealDate {
    constructor(...args: []) {
      if (args.length === 0) super(RealDate.now() + shift);
      else super(...args);
    }
    static override now(): number {
      return RealDate.now() + shift;
    }
  } as DateConstructor;
}
