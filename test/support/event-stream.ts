/** One server-sent event. */
export interface ServerEvent {
  id: string;
  event: string;
  // biome-ignore lint/suspicious/noExplicitAny: whatever the test expects
  data: any;
}

/** A stream of server-sent events, as a client reads it. */
export interface EventStream {
  response: Response;
  /** What came so far. */
  events: ServerEvent[];
  /** Everything that came, comments too. */
  text(): string;
  /** Resolves when the server has closed the stream; rejects when it was cut. */
  ended: Promise<void>;
  close(): void;
}

/** Opens a stream; it is read in the background. */
export async function givenEventStream(
  url: string,
  headers: Record<string, string> = {},
): Promise<EventStream> {
  const abort = new AbortController();
  const response = await fetch(url, { headers, signal: abort.signal });
  const stream: EventStream = {
    response,
    events: [],
    text: () => text,
    ended: Promise.resolve(),
    close: () => abort.abort(),
  };
  let text = '';
  let rest = '';
  const read = async () => {
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) {
      const piece = decoder.decode(chunk, { stream: true });
      text += piece;
      const blocks = (rest + piece).split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) {
        const fields = new Map(block.split('\n').map((line) => line.split(/: (.*)/s) as [string, string]));
        const [id, event, data] = ['id', 'event', 'data'].map((name) => fields.get(name));
        if (id && event && data) stream.events.push({ id, event, data: JSON.parse(data) });
      }
    }
  };
  stream.ended = read();
  stream.ended.catch(() => {});
  return stream;
}
