import { AsyncLocalStorage } from 'node:async_hooks';
import {
  type Attributes,
  context,
  createTraceState,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';

/**
 * The context of a trace is passed on as the headers `traceparent` and `tracestate` (W3C Trace Context): from HTTP into record
 * and message, to the handler and to what it enqueues. Spans exist only when an endpoint is set. Here and in the record it is
 * one text: `traceparent`, and `tracestate` behind a space if there is one.
 */

/** Version 00 only. Ids of zeros are invalid. */
const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;
const TRACEPARENT_LENGTH = 55;
/** W3C: printable ASCII, of which 512 characters must be passed on. */
const TRACESTATE = /^[\x21-\x7e][\x20-\x7e]{0,511}$/;

/** The current context while tracing is off. */
const handedOn = new AsyncLocalStorage<string>();
/** Set while tracing is on. */
let tracer: Tracer | undefined;

/** One operation of a trace. */
export interface Step {
  /** The context to pass on; undefined outside of a trace. */
  readonly traceparent: string | undefined;
  /** Runs a task in the context of this step. */
  run<T>(task: () => T): T;
  /** @param errorType the class of an error or a status; never its text, which may quote a payload. */
  end(errorType?: string, attributes?: Attributes): void;
}

export interface StepDescription {
  name: string;
  kind: keyof typeof SpanKind;
  attributes: Attributes;
}

const UNTRACED: Step = { traceparent: undefined, run: (task) => task(), end: () => {} };

/**
 * Starts a step: a span while tracing is on.
 *
 * @param parent its context; without one it starts a trace.
 * @param describe called only when there is a span.
 */
export function startStep(parent: string | undefined, describe: () => StepDescription): Step {
  if (tracer) {
    const { name, kind, attributes } = describe();
    return new SpanStep(tracer.startSpan(name, { kind: SpanKind[kind], attributes }, contextOf(parent)));
  }
  if (!parent) return UNTRACED;
  return { traceparent: parent, run: (task) => handedOn.run(parent, task), end: () => {} };
}

/** The current context, if there is a trace. */
export function currentTraceparent(): string | undefined {
  if (!tracer) return handedOn.getStore();
  const span = trace.getActiveSpan();
  return span && format(span);
}

/** The context in headers from outside, if it is valid. */
export function readTraceHeaders({ traceparent, tracestate }: Record<string, unknown>): string | undefined {
  if (typeof traceparent !== 'string' || !TRACEPARENT.test(traceparent)) return undefined;
  return typeof tracestate === 'string' && TRACESTATE.test(tracestate)
    ? `${traceparent} ${tracestate}`
    : traceparent;
}

/** The headers of a context. */
export function traceHeadersOf(context: string): { traceparent: string; tracestate?: string } {
  if (context.length === TRACEPARENT_LENGTH) return { traceparent: context };
  const [traceparent, tracestate] = [
    context.slice(0, TRACEPARENT_LENGTH),
    context.slice(TRACEPARENT_LENGTH + 1),
  ];
  return { traceparent, tracestate };
}

/** The trace id of a context. */
export const traceIdOf = (traceparent: string): string => traceparent.slice(3, 35);

/** Turns tracing on, or off without a tracer. */
export function useTracer(next: Tracer | undefined): void {
  tracer = next;
}

class SpanStep implements Step {
  readonly traceparent: string;

  constructor(private readonly span: Span) {
    this.traceparent = format(span);
  }

  run<T>(task: () => T): T {
    return context.with(trace.setSpan(ROOT_CONTEXT, this.span), task);
  }

  end(errorType?: string, attributes: Attributes = {}): void {
    this.span.setAttributes(attributes);
    if (errorType !== undefined) {
      this.span.setAttribute('error.type', errorType);
      this.span.setStatus({ code: SpanStatusCode.ERROR });
    }
    this.span.end();
  }
}

function contextOf(parent: string | undefined) {
  if (!parent) return ROOT_CONTEXT;
  const { traceparent, tracestate } = traceHeadersOf(parent);
  const [, traceId = '', spanId = '', flags = ''] = traceparent.split('-');
  return trace.setSpanContext(ROOT_CONTEXT, {
    ...{ traceId, spanId },
    traceFlags: Number.parseInt(flags, 16),
    traceState: tracestate === undefined ? undefined : createTraceState(tracestate),
    isRemote: true,
  });
}

function format(span: Span): string {
  const { traceId, spanId, traceFlags, traceState } = span.spanContext();
  const traceparent = `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
  const tracestate = traceState?.serialize();
  return tracestate ? `${traceparent} ${tracestate}` : traceparent;
}
