import { Injectable, Module } from '@nestjs/common';
import { NestedHandler, WhereHandler } from './handlers.js';

@Module({ controllers: [NestedHandler] })
export class WithoutProvider {}

@Module({ controllers: [WhereHandler] })
export class WithoutHandlers {}

@Injectable()
class NotReady {
  onModuleInit() {
    throw new Error('the disk is not there');
  }
}
@Module({ controllers: [WhereHandler], providers: [NotReady] })
export class FailsAtInit {}
