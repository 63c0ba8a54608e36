import { AsyncLocalStorage } from 'node:async_hooks';
import {
  type Attributes,
  context,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';

/**
 * The context of a trace is passed on as the header `traceparent` (W3C Trace Context): from HTTP into record and message, to
 * the handler and to what it enqueues. Spans exist only when an endpoint is set.
 */

/** Version 00, the only one there is; ids of zeros are invalid. */
const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/** The context of what runs now, while no spans are made. */
const handedOn = new AsyncLocalStorage<string>();
/** Set while spans are made. */
let tracer: Tracer | undefined;

/** One thing that is done on behalf of something else. */
export interface Step {
  /** What to hand on to whatever is done on behalf of this; undefined when it belongs to no trace. */
  readonly traceparent: string | undefined;
  /** Runs what the step consists of, so that {@link currentTraceparent} is the step's. */
  run<T>(task: () => T): T;
  /** @param errorType what went wrong: the class of an error, or a status. Never its text, which may quote a payload. */
  end(errorType?: string, attributes?: Attributes): void;
}

export interface StepDescription {
  name: string;
  kind: keyof typeof SpanKind;
  attributes: Attributes;
}

const UNTRACED: Step = { traceparent: undefined, run: (task) => task(), end: () => {} };

/**
 * Starts a step: a span, where spans are made.
 *
 * @param parent the context that it belongs to; without one it starts a trace.
 * @param describe asked only when there is a span to describe.
 */
export function startStep(parent: string | undefined, describe: () => StepDescription): Step {
  if (tracer) {
    const { name, kind, attributes } = describe();
    return new SpanStep(tracer.startSpan(name, { kind: SpanKind[kind], attributes }, contextOf(parent)));
  }
  if (!parent) return UNTRACED;
  return { traceparent: parent, run: (task) => handedOn.run(parent, task), end: () => {} };
}

/** The context of what runs now, if it belongs to a trace. */
export function currentTraceparent(): string | undefined {
  if (!tracer) return handedOn.getStore();
  const span = trace.getActiveSpan();
  return span && format(span);
}

/** Takes what came from outside for a context, if it is one. */
export function readTraceparent(header: unknown): string | undefined {
  return typeof header === 'string' && TRACEPARENT.test(header) ? header : undefined;
}

/** The id of the trace that a context belongs to. */
export const traceIdOf = (traceparent: string): string => traceparent.slice(3, 35);

/** From now on spans are made; no longer when there is none. */
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

function contextOf(traceparent: string | undefined) {
  if (!traceparent) return ROOT_CONTEXT;
  const [, traceId = '', spanId = '', flags = ''] = traceparent.split('-');
  return trace.setSpanContext(ROOT_CONTEXT, {
    ...{ traceId, spanId },
    traceFlags: Number.parseInt(flags, 16),
    isRemote: true,
  });
}

function format(span: Span): string {
  const { traceId, spanId, traceFlags } = span.spanContext();
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
}
