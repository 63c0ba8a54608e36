import { Module } from '@nestjs/common';
import { Settings, SettingsModule } from '#config';
import * as contracts from '#contracts';
import { JobsModule } from '#jobs';
import { RabbitMQModule } from '#rabbitmq';
import { RecordsModule } from '#records';
import { SchedulesModule } from '#schedules';

/** What the operator's commands work with: the same libs as the apps, with a small pool. */
@Module({
  imports: [
    SettingsModule.forRoot(),
    RecordsModule.forRootAsync({
      inject: [Settings],
      useFactory: (settings: Settings) => ({ url: settings.DATABASE_URL, poolSize: 2 }),
    }),
    RabbitMQModule.forRootAsync({
      inject: [Settings],
      useFactory: (settings: Settings) => ({ urls: settings.RABBITMQ_URL }),
    }),
    JobsModule.forRootAsync({
      contracts,
      inject: [Settings],
      useFactory: (settings: Settings) => ({ maxPayload: settings.MAX_PAYLOAD }),
    }),
    SchedulesModule,
  ],
})
export class CliModule {}
