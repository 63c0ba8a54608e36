import { Module } from '@nestjs/common';
import { MetricsController } from './metrics.controller.js';

/** Tells those who watch over an app how it is. */
@Module({ controllers: [MetricsController] })
export class TelemetryModule {}
