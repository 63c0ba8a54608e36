/** Workers without a lock twice in a row are gone: after a restart of the database all workers take their locks again. */
export class GoneWorkers {
  private missing: ReadonlySet<number> = new Set();

  /** @param missing the workers that have no lock at this moment. @returns those that had none the time before either. */
  confirm(missing: readonly number[]): number[] {
    const gone = missing.filter((worker) => this.missing.has(worker));
    this.missing = new Set(missing);
    return gone;
  }
}
