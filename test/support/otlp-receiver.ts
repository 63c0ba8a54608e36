import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A span, as far as tests look at it. */
export interface ReceivedSpan {
  service: string;
  name: string;
  kind: 'server' | 'producer' | 'consumer';
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  traceState?: string;
  isError: boolean;
  attributes: Record<string, unknown>;
}

/** What takes traces by OTLP over HTTP, in JSON. */
export interface OtlpReceiver {
  url: string;
  spans: ReceivedSpan[];
  close(): Promise<void>;
}

interface Attribute {
  key: string;
  value: Record<string, unknown>;
}
interface Export {
  resourceSpans: {
    resource: { attributes: Attribute[] };
    scopeSpans: {
      spans: (Omit<ReceivedSpan, 'kind' | 'attributes'> & {
        kind: number;
        attributes: Attribute[];
        status: { code?: number };
      })[];
    }[];
  }[];
}

/** The numbers of opentelemetry/proto/trace/v1/trace.proto. */
const KINDS = { 2: 'server', 4: 'producer', 5: 'consumer' } as const;
const STATUS_ERROR = 2;

export async function givenOtlpReceiver(): Promise<OtlpReceiver> {
  const spans: ReceivedSpan[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { resourceSpans } = JSON.parse(Buffer.concat(chunks).toString()) as Export;
    for (const { resource, scopeSpans } of resourceSpans) {
      const service = String(plain(resource.attributes)['service.name']);
      for (const { kind, attributes, status, ...span } of scopeSpans.flatMap(({ spans }) => spans)) {
        spans.push({
          ...span,
          ...{ service, kind: KINDS[kind as keyof typeof KINDS], isError: status.code === STATUS_ERROR },
          attributes: plain(attributes),
        });
      }
    }
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

const plain = (attributes: Attribute[]) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
