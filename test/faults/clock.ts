/** Loaded with `node --import` before an app: sets the clock of its process wrong, by FAULTS_CLOCK_MS. */
const shift = Number(process.env.FAULTS_CLOCK_MS);
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
