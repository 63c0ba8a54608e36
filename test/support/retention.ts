import { Test } from '@nestjs/testing';
import { loadSettings, SettingsModule } from '#config';
import { type Pruned, RecordsModule, Retention } from '#records';
import { type Environment, givenEnvironment } from '#testing/services';

const DAY_MS = 86_400_000;
/** How long what is pruned in tests is kept. */
export const ages = {
  succeeded: 7 * DAY_MS,
  cancelled: 30 * DAY_MS,
  discarded: 30 * DAY_MS,
  others: 30 * DAY_MS,
};

/** A database of its own, and what prunes it. */
export async function givenRetention(): Promise<{
  environment: Environment;
  retention: Retention;
  /** Prunes everything. */
  prune(): Promise<Pruned[]>;
  close(): Promise<void>;
}> {
  const environment = await givenEnvironment([]);
  const app = await Test.createTestingModule({
    imports: [
      SettingsModule.forRoot(() =>
        loadSettings({ DATABASE_URL: environment.databaseUrl, DATABASE_POOL: '2' }),
      ),
      RecordsModule,
    ],
  }).compile();
  const retention = app.get(Retention);
  return {
    environment,
    retention,
    prune: async () => {
      const steps = [];
      for await (const step of retention.prune(ages)) steps.push(step);
      return steps;
    },
    close: async () => {
      await app.close();
      await environment.close();
    },
  };
}
