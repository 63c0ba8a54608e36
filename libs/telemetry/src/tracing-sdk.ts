import { Logger } from '@nestjs/common';
import { context, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import { settledWithin } from '#common';
import { useTracer } from './tracing.js';

/** How long an app that stops waits for its last spans to be taken. */
const FLUSH_MS = 2_000;

/**
 * Makes spans from now on, and exports them by OTLP over HTTP. This file alone loads the SDK, so it is imported only
 * where it is wanted. The exporter reads the usual variables itself: `OTEL_EXPORTER_OTLP_ENDPOINT`, `…_HEADERS`.
 *
 * @returns a function that exports what is left, and ends it.
 */
export function startSdk(service: string): () => Promise<void> {
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': service }).merge(
      detectResources({ detectors: [envDetector] }),
    ),
    // Who came with a decision keeps it; of the others, the part that OTEL_TRACES_SAMPLER_ARG says.
    sampler: new ParentBasedSampler({
      root: new TraceIdRatioBasedSampler(Number(process.env.OTEL_TRACES_SAMPLER_ARG || 1)),
    }),
    spanProcessors: [new BatchSpanProcessor({ exporter: tellingOfOutages(new OTLPTraceExporter()) })],
  });
  // For spans of your own and of instrumentation that you add: they find their parent, and their way out.
  trace.setGlobalTracerProvider(provider);
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  useTracer(provider.getTracer('warren'));
  return async () => {
    useTracer(undefined);
    await settledWithin(provider.shutdown(), FLUSH_MS);
  };
}

/** The SDK drops what cannot be exported without a word. One line when that begins, and one when it ends. */
function tellingOfOutages(exporter: OTLPTraceExporter): SpanExporter {
  const logger = new Logger('Tracing');
  let failing = false;
  return {
    export: (spans, onResult) =>
      exporter.export(spans, (result) => {
        if (result.error && !failing) logger.warn(`Cannot export spans: ${result.error.message}`);
        if (!result.error && failing) logger.log('Exporting spans again');
        failing = result.error !== undefined;
        onResult(result);
      }),
    forceFlush: () => exporter.forceFlush(),
    shutdown: () => exporter.shutdown(),
  };
}
