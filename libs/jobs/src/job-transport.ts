import { type CustomTransportStrategy, Server } from '@nestjs/microservices';
import { JOB_TRANSPORT } from './handler.js';

/** A transport for which Nest finds the classes with `@JobHandler` and wraps them in what it wraps controllers in. */
export abstract class JobTransport extends Server implements CustomTransportStrategy {
  override readonly transportId = JOB_TRANSPORT;
  /** What runs a handler reports what it throws; Nest need not. */
  override readonly propagatesEventHandlerErrors = true;

  close(): void | Promise<void> {}

  on(): never {
    throw new Error(`${this.constructor.name} has no events of its own to listen to`);
  }

  unwrap<T>(): T {
    return this as unknown as T;
  }
}
