import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { untilAvailable } from '#common';
import { Contracts } from '#jobs';
import { Broker, TopologyError } from '#rabbitmq';
import { Database, SchemaError } from '#records';

/**
 * Checks schema and topology as soon as database and broker answer, and ends the process when one of them is not what
 * this code needs. Until then the api runs: it answers 503 without the database, and accepts jobs without the broker.
 */
@Injectable()
export class StartupCheck implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly stopping = new AbortController();

  constructor(
    private readonly broker: Broker,
    private readonly database: Database,
    private readonly contracts: Contracts,
  ) {}

  onApplicationBootstrap(): void {
    const { signal } = this.stopping;
    Promise.all([
      untilAvailable(() => this.database.checkSchema(), signal),
      this.broker.check(this.contracts.topology, signal),
    ]).catch((error) => {
      // An app that is closed while it checks, as a short test does, has lost its connections by that.
      if (signal.aborted) return;
      const isExpected = error instanceof TopologyError || error instanceof SchemaError;
      new Logger(StartupCheck.name).fatal(isExpected ? error.message : error);
      process.exit(1);
    });
  }

  onModuleDestroy(): void {
    this.stopping.abort();
  }
}
