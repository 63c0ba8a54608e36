import { EventStream } from '#http';
import type { Watcher } from '#jobs';
import { hasEnded, isAfter, type WatchedJob } from '#records';

const RECONNECT_MS = 1_000;

/** One job's changes as server-sent events, until it ends. A slow client gets the newest progress; nothing is buffered for it. */
export class JobEvents extends EventStream implements Watcher {
  private job: WatchedJob | undefined;
  private isWanted = false;
  private progress = '';

  /** @param last the id of the event that the client had last; empty for all of them. */
  constructor(private last: string) {
    super(RECONNECT_MS);
  }

  tell(job: WatchedJob): void {
    this.job = job;
    this.flush();
  }

  override stop(): void {
    this.isWanted = false;
    super.stop();
  }

  override _read(): void {
    this.isWanted = true;
    this.flush();
  }

  private flush(): void {
    while (this.isWanted && this.job) {
      const event = this.nextState(this.job) ?? this.nextProgress(this.job);
      if (!event) break;
      this.write(event);
    }
    if (this.isWanted && this.job && hasEnded(this.job.state)) this.stop();
  }

  private write(text: string): void {
    if (this.isWanted) this.isWanted = this.push(text);
  }

  private nextState({ history, state }: WatchedJob): string | undefined {
    const newest = history.at(-1);
    const isTold = ({ id }: { id: string }) => this.last !== '' && !isAfter(id, this.last);
    // The last event is always told, even if the job went through something that their order does not foresee.
    const next = history.find((change) => !isTold(change)) ?? (hasEnded(state) ? newest : undefined);
    if (!next || next.id === this.last) return undefined;
    this.last = next.id;
    const { id, ...data } = next;
    return format('state', id, data);
  }

  private nextProgress({ state, claim, progress, progressNote: note }: WatchedJob): string | undefined {
    if (state !== 'running' || progress === null) return undefined;
    const id = `${claim}.progress.${progress}`;
    const told = `${id} ${note}`;
    if (told === this.progress || (this.progress === '' && id === this.last)) return undefined;
    this.last = id;
    this.progress = told;
    return format('progress', id, { progress, note });
  }
}

const format = (event: string, id: string, data: unknown) =>
  `id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
