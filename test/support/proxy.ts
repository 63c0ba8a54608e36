import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** A way through the proxy. */
export type Direction = 'toServer' | 'toClient';

/** What a slow network does to each connection. */
export interface Shape {
  /** How long a byte is under way, in each direction, give or take `jitterMs`. The order is kept. */
  latencyMs?: number;
  jitterMs?: number;
  bytesPerSecond?: number;
  /** How long one side goes on without knowing that the other has closed. */
  closeDelayMs?: number;
}

/** A TCP proxy that can be cut: what it stands before is gone for its clients, while it lives on for others. */
export interface TcpProxy {
  /** The same URL through the proxy. */
  url: string;
  /** Breaks every connection and refuses new ones, until `mend`. */
  cut(): void;
  /** Keeps every connection open and lets no byte through, until `mend`. */
  stall(): void;
  /**
   * Half-open: keeps every connection open, takes every byte and drops it, in both directions or in one; nor does the
   * word that a side has closed get through there. `mend` then breaks the connections that lost something.
   */
  swallow(direction?: Direction | 'both'): void;
  /** Slows down what passes from now on, until `mend`. */
  shape(shape: Shape): void;
  mend(): void;
  close(): Promise<void>;
}

/** Stands a proxy before the host and port of a URL. */
export async function givenProxy(target: string): Promise<TcpProxy> {
  const { hostname, port } = new URL(target);
  const weather: Weather = { shape: {}, swallows: new Set() };
  const links = new Set<Link>();
  let isCut = false;
  const server = createServer((client) => {
    if (isCut) return client.destroy();
    const link = new Link(client, connect(Number(port), hostname), weather, () => links.delete(link));
    links.add(link);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL(target);
  url.hostname = '127.0.0.1';
  url.port = String((server.address() as { port: number }).port);
  const cut = () => {
    isCut = true;
    for (const link of links) link.break();
  };
  return {
    url: url.href,
    cut,
    stall: () => {
      for (const link of links) link.stall();
    },
    swallow: (direction = 'both') => {
      weather.swallows = new Set(direction === 'both' ? ['toServer', 'toClient'] : [direction]);
    },
    shape: (shape) => {
      weather.shape = shape;
    },
    mend: () => {
      isCut = false;
      weather.shape = {};
      weather.swallows = new Set();
      for (const link of links) link.mend();
    },
    close: async () => {
      cut();
      server.close();
      await once(server, 'close');
    },
  };
}

/** What holds for all connections of a proxy at the moment. */
interface Weather {
  shape: Shape;
  swallows: Set<Direction>;
}

/** One connection through the proxy. */
class Link {
  private readonly lanes: Lane[];
  /** It lost bytes, or the word that one side closed: no protocol goes on from there. */
  private damaged = false;

  constructor(
    private readonly client: Socket,
    private readonly upstream: Socket,
    private readonly weather: Weather,
    onEnd: () => void,
  ) {
    const onLoss = () => {
      this.damaged = true;
    };
    this.lanes = [
      new Lane(client, upstream, 'toServer', weather, onLoss),
      new Lane(upstream, client, 'toClient', weather, onLoss),
    ];
    let open = 2;
    for (const [lane, from, to] of [
      [this.lanes[0], client, upstream],
      [this.lanes[1], upstream, client],
    ] as const) {
      from.on('error', () => {});
      from.on('close', () => {
        if (--open === 0) onEnd();
        this.passOnClose(lane as Lane, to);
      });
    }
  }

  stall(): void {
    for (const lane of this.lanes) lane.stall();
  }

  mend(): void {
    if (this.damaged) this.break();
    else for (const lane of this.lanes) lane.resume();
  }

  break(): void {
    this.client.destroy();
    this.upstream.destroy();
  }

  private passOnClose(lane: Lane, to: Socket): void {
    if (this.weather.swallows.has(lane.direction)) {
      this.damaged = true;
      return;
    }
    const delay = Math.max(lane.emptyInMs, this.weather.shape.closeDelayMs ?? 0);
    if (delay === 0) to.destroySoon();
    else setTimeout(() => to.destroySoon(), delay).unref();
  }
}

/** Bytes under way that a lane holds before it reads no more. */
const LANE_BYTES = 256 * 1024;

/** One direction of one connection. */
class Lane {
  private stalled = false;
  /** What is under way, in order, and when each piece arrives. */
  private readonly pieces: { chunk: Buffer; at: number }[] = [];
  private bytes = 0;
  /** When the line has sent all that it was given, and when the last of it arrives. */
  private sentAt = 0;
  private arrivesAt = 0;

  constructor(
    private readonly from: Socket,
    private readonly to: Socket,
    readonly direction: Direction,
    private readonly weather: Weather,
    private readonly onLoss: () => void,
  ) {
    from.on('data', (chunk: Buffer) => this.carry(chunk));
    to.on('drain', () => this.readOn());
  }

  /** How long it takes until all that is under way has arrived. */
  get emptyInMs(): number {
    return this.pieces.length === 0 ? 0 : Math.max(1, this.arrivesAt - Date.now());
  }

  stall(): void {
    this.stalled = true;
    this.from.pause();
  }

  resume(): void {
    this.stalled = false;
    this.readOn();
  }

  private readOn(): void {
    if (!this.stalled && this.bytes <= LANE_BYTES) this.from.resume();
  }

  private carry(chunk: Buffer): void {
    if (this.weather.swallows.has(this.direction)) {
      this.onLoss();
      return;
    }
    const { latencyMs = 0, jitterMs = 0, bytesPerSecond = Number.POSITIVE_INFINITY } = this.weather.shape;
    this.sentAt = Math.max(this.sentAt, Date.now()) + (1_000 * chunk.length) / bytesPerSecond;
    const jitter = jitterMs * (2 * Math.random() - 1);
    this.arrivesAt = Math.max(this.arrivesAt, this.sentAt + latencyMs + jitter);
    this.pieces.push({ chunk, at: this.arrivesAt });
    this.bytes += chunk.length;
    if (this.bytes > LANE_BYTES) this.from.pause();
    if (this.pieces.length === 1) this.deliver();
  }

  /** One timer for the first piece only: of several timers, a later one may fire before an earlier one. */
  private deliver(): void {
    for (let [piece] = this.pieces; piece; [piece] = this.pieces) {
      const wait = piece.at - Date.now();
      if (wait >= 1) {
        setTimeout(() => this.deliver(), wait).unref();
        return;
      }
      this.pieces.shift();
      this.bytes -= piece.chunk.length;
      if (this.to.writable && !this.to.write(piece.chunk)) this.from.pause();
    }
    if (!this.to.writableNeedDrain) this.readOn();
  }
}
