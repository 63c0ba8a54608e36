import { z } from 'zod';
import { list, milliseconds, perQueue, readBy, signingSecret } from './values.js';

const webhook = z.string().transform(
  readBy((text) => {
    const [, form, address = ''] = /^(?:(slack|json)=)?(.*)$/.exec(text) ?? [];
    const url = URL.canParse(address) ? new URL(address) : undefined;
    if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password)
      throw new Error(
        'each must be a URL that starts with https:// or http:// and has no user, or slack=URL, or json=URL',
      );
    const isOfSlack = form ? form === 'slack' : /^hooks\.slack(-gov)?\.com$/.test(url.hostname);
    return { form: isOfSlack ? ('slack' as const) : ('json' as const), url: url.href };
  }),
);
/** Nothing is looked at more often than a dozen times in it. */
const lasting = milliseconds.refine((value) => value >= 1_000 && value <= 86_400_000, 'must be 1s to 24h');

/** Who is told of trouble, and of what. */
export const notificationSettings = {
  NOTIFY_WEBHOOKS: list
    .pipe(z.array(webhook))
    .prefault('')
    .describe(
      "Webhooks that are told of dead letters, outages, queues that grow and queues without a worker, separated by commas; of api and workers alike. Those at hooks.slack.com get Slack's form, others JSON; `slack=URL` and `json=URL` choose. They are secrets. See docs/operations.md.",
    ),
  NOTIFY_SECRET: signingSecret
    .optional()
    .describe(
      'Secret with which notifications in JSON are signed (Standard Webhooks); without it they are not.',
    ),
  NOTIFY_AFTER: lasting
    .prefault('1m')
    .describe(
      'How long an outage, or a queue without a worker, lasts before it is told, and is over before that is told.',
    ),
  NOTIFY_BACKLOG: perQueue(1_000, 999_999_999)
    .prefault('1000')
    .describe(
      'Jobs that must wait for a worker in a queue that grows before that is told; `name=number` sets it for one queue.',
    ),
  NOTIFY_BACKLOG_AFTER: lasting
    .prefault('10m')
    .describe('How long so many jobs must wait, and not get fewer, before it is told.'),
};
