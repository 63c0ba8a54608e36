import { Controller, Get, Header } from '@nestjs/common';
import { collectDefaultMetrics } from 'prom-client';
import { scrape } from './lookup.js';
import { registry } from './metrics.js';

/** `GET /metrics`, for Prometheus. */
@Controller('metrics')
export class MetricsController {
  constructor() {
    // Once in a process: in tests it may have several apps.
    if (!registry.getSingleMetric('process_cpu_seconds_total')) collectDefaultMetrics({ register: registry });
  }

  @Get()
  @Header('content-type', registry.contentType)
  @Header('cache-control', 'no-store')
  show(): Promise<string> {
    return scrape();
  }
}
