import { Injectable } from '@nestjs/common';
import { webhookHeaders } from '#common';
import { Settings } from '#config';
import type { SendNotification } from '#contracts';
import { type PayloadOf, RetryAfterError, retryAfter } from '#jobs';
import { inJson, inSlacksForm } from './forms.js';

export type Delivery = PayloadOf<typeof SendNotification>;

/** Bounds of what a `Retry-After` may ask for. */
const MIN_DELAY_MS = 1_000;
const MAX_DELAY_MS = 3_600_000;

/** Those of `NOTIFY_WEBHOOKS`. Their addresses are secrets, and stand in no error: who may post is who knows them. */
@Injectable()
export class Webhooks {
  constructor(private readonly settings: Settings) {}

  /** Each by its place in the setting, from 1. */
  get all(): number[] {
    return this.settings.NOTIFY_WEBHOOKS.map((_, index) => index + 1);
  }

  /**
   * Sends one request; redirects are not followed. That an address is of a private network is for the operator to decide.
   *
   * @param options.id the same in every attempt. @param options.at when there was something to tell.
   * @returns the status, which is 2xx. @throws an Error that names the webhook by its place; the signal's reason.
   */
  async send(
    { webhook, ...notice }: Delivery,
    { id, at, signal }: { id: string; at: Date; signal: AbortSignal },
  ): Promise<number> {
    const { NOTIFY_WEBHOOKS, NOTIFY_SECRET } = this.settings;
    const target = NOTIFY_WEBHOOKS[webhook - 1];
    const what = `Webhook ${webhook} of NOTIFY_WEBHOOKS`;
    if (!target)
      throw new Error(`${what} is not set for this worker: set it to the same for every api and worker`);
    const isSigned = target.form === 'json' && NOTIFY_SECRET !== undefined;
    const body = JSON.stringify(target.form === 'slack' ? inSlacksForm(notice, at) : inJson(notice, at));
    const headers = {
      ...{ 'content-type': 'application/json', 'user-agent': 'Warren', 'webhook-id': id },
      ...(isSigned && webhookHeaders(id, body, NOTIFY_SECRET)),
    };
    const request = { method: 'POST', headers, body, signal, redirect: 'manual' } as const;
    const response = await fetch(target.url, request).catch((error) => {
      if (signal.aborted) throw signal.reason;
      // Messages of these errors name hosts.
      throw new Error(`${what} did not answer: ${error.cause?.code ?? error.name}`);
    });
    const { ok, status } = response;
    await response.body?.cancel().catch(() => {});
    if (ok) return status;
    const message = `${what} answered ${status}${status === 429 ? '' : ': is its address still right?'}`;
    const delay = retryAfter(response.headers.get('retry-after') ?? undefined);
    if (delay === undefined || ![429, 503].includes(status)) throw new Error(message);
    throw new RetryAfterError(Math.min(MAX_DELAY_MS, Math.max(MIN_DELAY_MS, delay)), message);
  }
}
