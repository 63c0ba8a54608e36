import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { untilAvailable } from '#common';
import { Contracts } from '#jobs';
import { Broker } from '#rabbitmq';
import { Database } from '#records';

/**
 * Looks whether schema and topology are what this code needs as soon as database and broker answer, and until they are: the
 * api is not ready before that. While the broker is away it is, and accepts jobs; without the database it answers 503.
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
      new Logger(StartupCheck.name).fatal(error);
      process.exit(1);
    });
  }

  onModuleDestroy(): void {
    this.stopping.abort();
  }
}
