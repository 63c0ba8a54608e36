/** Characters of log lines that a worker has not read yet, some milliseconds of its time. */
const MAX_UNREAD = 64 * 1024;

/** Has a thread that logs faster than its worker reads wait for it: otherwise a tight loop would fill the worker's memory. */
export class LogFlow {
  private readonly unread: Int32Array<SharedArrayBuffer>;

  constructor(readonly buffer = new SharedArrayBuffer(4)) {
    this.unread = new Int32Array(buffer);
  }

  /** In the thread: a line was posted. */
  posted({ length }: string): void {
    Atomics.add(this.unread, 0, length);
    for (let count = this.count; count > MAX_UNREAD; count = this.count) Atomics.wait(this.unread, 0, count);
  }

  /** In the worker. */
  read({ length }: string): void {
    Atomics.sub(this.unread, 0, length);
    Atomics.notify(this.unread, 0);
  }

  private get count(): number {
    return Atomics.load(this.unread, 0);
  }
}
