import { Injectable, type OnModuleInit, Optional } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { type AnyContract, ContractError } from '#define-job';
import type { EnqueueOptions } from './enqueue-options.js';

/** A job that is about to be enqueued: by whatever call, as one of a batch, by a schedule, or to follow another. */
export interface JobToCome {
  readonly contract: AnyContract;
  readonly payload: unknown;
  /** Without keys and transaction, which are the caller's. */
  readonly options: Omit<EnqueueOptions, 'idempotencyKey' | 'client' | 'unique' | 'transaction'>;
}

/** What a class with `@EnqueueHook()` does. It is synchronous, and the same job gives the same, for the sake of keys. */
export interface BeforeEnqueue {
  /** @returns what is to be another; nothing when the job is to be as it is. @throws EnqueueRefusedError when it is not to be. */
  beforeEnqueue(job: JobToCome): Partial<Pick<JobToCome, 'payload' | 'options'>> | undefined;
}

/**
 * Makes a provider a hook around all enqueueing. Those of a lower `order` come first; it is 0 when absent.
 *
 * ```ts
 * @EnqueueHook()
 * export class TenantTags implements BeforeEnqueue {
 *   beforeEnqueue({ options }: JobToCome) {
 *     return { options: { ...options, tags: [...(options.tags ?? []), `tenant:${tenants.getStore()}`] } };
 *   }
 * }
 * ```
 */
export const EnqueueHook = DiscoveryService.createDecorator<{ order: number } | undefined>();

/** The hooks of an app. */
@Injectable()
export class EnqueueHooks implements OnModuleInit {
  readonly all: BeforeEnqueue[] = [];

  constructor(@Optional() private readonly discovery?: DiscoveryService) {}

  onModuleInit(): void {
    const found = this.discovery?.getProviders({ metadataKey: EnqueueHook.KEY }) ?? [];
    const hooks = found.map((provider) => ({
      hook: provider.instance as BeforeEnqueue,
      order: this.discovery?.getMetadataByDecorator(EnqueueHook, provider)?.order ?? 0,
    }));
    for (const [index, { hook }] of hooks.entries()) {
      if (typeof hook?.beforeEnqueue === 'function') continue;
      throw new ContractError(
        `${found[index]?.name} is an @EnqueueHook without a method beforeEnqueue, or not a singleton`,
      );
    }
    this.all.push(...hooks.sort((a, b) => a.order - b.order).map(({ hook }) => hook));
  }

  /** @throws what a hook throws. */
  apply(job: JobToCome): JobToCome {
    let current = job;
    for (const hook of this.all) {
      const changed = hook.beforeEnqueue(current);
      if (typeof (changed as { then?: unknown } | undefined)?.then === 'function')
        throw new ContractError(
          `${hook.constructor.name}.beforeEnqueue gave a promise: it must be synchronous`,
        );
      current = { ...current, ...changed };
    }
    return current;
  }
}
