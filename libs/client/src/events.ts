import type { JobState } from '#define-job';

/** What happens to a job: it comes into another state, or its handler tells how far it is. */
export type JobEvent =
  | { type: 'state'; state: JobState; attempt: number; at: string; error?: string }
  | { type: 'progress'; progress: number; note: string | null };

/** Reads server-sent events, each with its id. */
export async function* readEvents(
  stream: ReadableStream<Uint8Array>,
): AsyncGenerator<{ id: string; event: JobEvent }> {
  let rest = '';
  const decoder = new TextDecoder();
  const reader = stream.getReader();
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      const blocks = (rest + decoder.decode(read.value, { stream: true })).split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) {
        const [, id, type, data] = /^id: (.+)\nevent: (.+)\ndata: (.+)$/.exec(block) ?? [];
        if (id && data) yield { id, event: { type, ...JSON.parse(data) } };
      }
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}
