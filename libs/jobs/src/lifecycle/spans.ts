import { type Delivery, EXCHANGE, type OutgoingMessage } from '#rabbitmq';
import { currentTraceparent, readTraceHeaders, type Step, startStep, traceHeadersOf } from '#telemetry';
import type { IncomingJob } from '../decode.js';
import { describeError, type Outcome } from './outcome.js';

/**
 * Spans by OpenTelemetry's conventions for messaging (1.44, not stable yet). The span that sends a message is the parent of
 * the one that processes it, so that a job and its retries are one tree.
 */

const describe = (
  operation: 'create' | 'send' | 'process',
  destination: string,
  attributes: Record<string, string | number | undefined>,
) => ({
  name: `${operation} ${destination}`,
  kind: operation === 'process' ? ('CONSUMER' as const) : ('PRODUCER' as const),
  attributes: {
    'messaging.system': 'rabbitmq',
    'messaging.operation.name': operation,
    'messaging.operation.type': operation,
    'messaging.destination.name': destination,
    ...attributes,
  },
});

/** The context that a new job belongs to: that of the request or job which makes it, or a new trace. */
export function creating(name: string): Step {
  const traceparent = currentTraceparent();
  if (traceparent) return { traceparent, run: (task) => task(), end: () => {} };
  return startStep(undefined, () => describe('create', `${EXCHANGE.jobs}:${name}`, { 'job.name': name }));
}

/** A message is sent; its header has the context of that. */
export function sending({ exchange, routingKey, properties }: OutgoingMessage): Step {
  const parent = properties.headers && readTraceHeaders(properties.headers);
  const step = startStep(parent, () =>
    describe('send', `${exchange}:${routingKey}`, {
      'messaging.rabbitmq.destination.routing_key': routingKey,
      'messaging.message.id': properties.messageId,
      'job.name': properties.type,
    }),
  );
  if (step.traceparent !== undefined && step.traceparent !== parent)
    properties.headers = { ...properties.headers, ...traceHeadersOf(step.traceparent) };
  return step;
}

/** One attempt of a job. */
export function processing({ message }: Delivery, arrival: IncomingJob, attempt: number): Step {
  return startStep(arrival.traceparent, () => {
    const { exchange, routingKey, deliveryTag } = message.fields;
    return describe('process', `${exchange}:${routingKey}:${arrival.queue}`, {
      'messaging.rabbitmq.destination.routing_key': routingKey,
      'messaging.rabbitmq.message.delivery_tag': deliveryTag,
      'messaging.message.id': arrival.id,
      'job.name': arrival.name,
      'job.attempt': attempt,
    });
  });
}

/** Ends an attempt's step as the attempt ended. */
export function endProcessing(step: Step, outcome: Outcome): void {
  const isError = outcome.kind === 'failed' || outcome.kind === 'crashed';
  const errorType = isError ? describeError(outcome.error).class : undefined;
  step.end(errorType, { 'job.outcome': outcome.kind });
}
