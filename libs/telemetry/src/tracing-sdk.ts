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

/** Time limit for the export of the last spans. */
const FLUSH_MS = 2_000;

/**
 * Starts tracing, with export by OTLP over HTTP. Only this file loads the SDK: import it when it is needed. The exporter
 * reads `OTEL_EXPORTER_OTLP_ENDPOINT` and `…_HEADERS` itself.
 *
 * @returns a function that exports the remaining spans and stops.
 */
export function startSdk(service: string): () => Promise<void> {
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': service }).merge(
      detectResources({ detectors: [envDetector] }),
    ),
    // A caller's sampling decision is kept; of other traces OTEL_TRACES_SAMPLER_ARG is the sampled part.
    sampler: new ParentBasedSampler({
      root: new TraceIdRatioBasedSampler(Number(process.env.OTEL_TRACES_SAMPLER_ARG || 1)),
    }),
    spanProcessors: [new BatchSpanProcessor({ exporter: tellingOfOutages(new OTLPTraceExporter()) })],
  });
  // For your own spans, and for instrumentation that you add.
  trace.setGlobalTracerProvider(provider);
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  useTracer(provider.getTracer('warren'));
  return async () => {
    useTracer(undefined);
    await settledWithin(provider.shutdown(), FLUSH_MS);
  };
}

/** Logs when the export begins to fail and when it works again: the SDK drops spans silently. */
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
