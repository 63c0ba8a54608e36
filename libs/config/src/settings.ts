import { z } from 'zod';
import { type AgedState, agedStates, type Duration, toMilliseconds } from '#define-job';
import { apiKey, dashboardUser, encryptionKey, isNamedTwice } from './credentials.js';
import { loadDotEnv } from './dot-env.js';
import { notificationSettings } from './notification-settings.js';
import { checkOpenId, openIdSettings } from './openid-settings.js';
import { unfitForProduction } from './production.js';
import { count, list, milliseconds, perQueue, port, readBy, signingSecret } from './values.js';

/** `30d,succeeded=7d` keeps what succeeded for a week, and all else for 30 days. */
const retention = list.transform(
  readBy((entries) => {
    const ages: Partial<Record<AgedState | 'others', number>> = {};
    for (const entry of entries) {
      const [age, state = 'others'] = entry.split('=').reverse() as [string, string?];
      if (state !== 'others' && !agedStates.some((known) => known === state))
        throw new Error(
          `"${entry}" is neither a duration nor one for ${agedStates.join(', ')}, such as succeeded=7d`,
        );
      ages[state as keyof typeof ages] = toMilliseconds(age as Duration);
    }
    const { others, ...own } = ages;
    if (others === undefined)
      throw new Error('must name a duration for all states that have none of their own');
    return { succeeded: others, cancelled: others, discarded: others, others, ...own };
  }),
);
const url = (...schemes: string[]) =>
  z.string().refine((text) => URL.canParse(text) && schemes.includes(new URL(text).protocol.slice(0, -1)), {
    error: `must be a URL that starts with ${schemes.map((scheme) => `${scheme}://`).join(' or ')}`,
  });

/** Every setting, with its check, default and description. `npm run settings` writes `.env.example` and docs/settings.md. */
const schema = z.object({
  NODE_ENV: z
    .enum(['development', 'test', 'production'])
    .prefault('development')
    .describe(
      'With `production` the api does not start without `API_KEYS`, and neither app starts with a default or an example as a secret.',
    ),
  RABBITMQ_URL: list
    .pipe(z.array(url('amqp', 'amqps')).min(1, 'must name at least one address'))
    .prefault('amqp://guest:guest@localhost:5672')
    .describe('Addresses of the broker, separated by commas; each is tried in turn.'),
  DATABASE_URL: url('postgres', 'postgresql')
    .prefault('postgresql://postgres:postgres@localhost:5432/warren')
    .describe('The PostgreSQL database that holds the records.'),
  DATABASE_POOL: count
    .max(100)
    .prefault('8')
    .describe('Connections to the database that a process may open.'),
  LISTEN_ADDRESS: z
    .union(
      // As a name it would have two addresses, and Fastify a second server that nobody prepared.
      [z.ipv4(), z.ipv6(), z.literal('localhost').transform(() => '127.0.0.1')],
      'must be an IP address or localhost',
    )
    .optional()
    .describe(
      'Address that the api listens on; by default all addresses with `API_KEYS`, and loopback without. Use `0.0.0.0` in a container whose port is published to its own machine only.',
    ),
  TRUSTED_PROXIES: list
    .pipe(
      z.array(
        z.union(
          [z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()],
          'each must be an IP address or a network such as 10.0.0.0/8',
        ),
      ),
    )
    .prefault('')
    .describe(
      'Addresses or networks of the proxies before the api, separated by commas. Their `X-Forwarded-For` is trusted for the address of a sign-in. Without it, all clients behind a proxy have its address.',
    ),
  REQUEST_TIMEOUT: milliseconds
    .refine((value) => value >= 100 && value <= 3_600_000, 'must be 100ms to 1h')
    .prefault('60s')
    .describe('How long a client may take to send a request to the api, from its first byte to its last.'),
  PORT: port.prefault('3000').describe('Port of the api.'),
  WORKER_PORT: port.prefault('3001').describe('Port on which a worker answers health checks and metrics.'),
  API_KEYS: list
    .pipe(z.array(apiKey))
    .refine((keys) => !isNamedTwice(keys), {
      error: 'gives a name twice, or a key with scopes a second time',
    })
    .prefault('')
    .describe(
      'Keys that the api accepts as `Authorization: Bearer …`, separated by commas: a key that may do everything, or `SCOPES:NAME:KEY` and `SCOPES:NAME:CONTRACTS:KEY` for one that may do less, such as `enqueue+read:shop:email.*:KEY`. See docs/security.md. Without any, the api listens on loopback only and requires none.',
    ),
  DASHBOARD_USERS: list
    .pipe(z.array(dashboardUser))
    .refine((users) => new Set(users.map(({ name }) => name)).size === users.length, {
      error: 'names a user twice',
    })
    .prefault('')
    .describe(
      'Who may use the dashboard, separated by commas: `operator:NAME:HASH`, or `viewer:NAME:HASH` who may only look; `npm run hash-password` makes the hash. Without any there is no dashboard, unless the api listens on loopback only: then everybody on the machine is an operator.',
    ),
  ...openIdSettings,
  ENCRYPTION_KEYS: list
    .pipe(z.array(encryptionKey))
    .refine((keys) => new Set(keys.map(({ id }) => id)).size === keys.length, { error: 'names a key twice' })
    .prefault('')
    .describe(
      'Keys for the parts of contracts that are `encrypted()`, separated by commas: `ID:KEY`, with a key of 32 bytes in base64. The first one encrypts, and all decrypt. See docs/security.md.',
    ),
  WORKER_QUEUES: list
    .prefault('')
    .describe(
      'Queues that a worker serves, separated by commas; empty means all, and `!report` all but `report`.',
    ),
  WORKER_PREFETCH: perQueue(20, 65_535) // AMQP counts the messages in flight in 16 bits.
    .prefault('20,image=2,report=2')
    .describe('Jobs of one queue that a worker process runs at once; `name=number` sets it for one queue.'),
  HOLD_UNKNOWN: z
    .literal('0')
    .transform(() => 0)
    .or(milliseconds)
    .refine((value) => value <= 365 * 86_400_000, 'must be at most 365d')
    .prefault('24h')
    .describe(
      'How long a job waits for a worker that knows its contract and version before it is a dead letter; with `0` it is one at once.',
    ),
  SHUTDOWN_GRACE: milliseconds
    // Timers of Node that are to wait for more than 24 days fire at once.
    .refine((value) => value <= 86_400_000, 'must be at most 24h')
    .prefault('25s')
    .describe('How long the jobs in flight may go on after SIGTERM before they are released.'),
  ISOLATED_MEMORY: count
    .min(32, 'must be at least 32')
    .prefault('512')
    .describe('Heap that one thread of an isolated handler may use, in MB.'),
  ISOLATED_THREADS: count
    .max(1_000)
    .optional()
    .describe(
      'Threads of isolated handlers that a worker starts and runs at once; by default as many as the cores that it may use.',
    ),
  MAX_PAYLOAD: count
    .max(16 * 1024 * 1024)
    .prefault('1048576')
    .describe('Largest payload, and largest result, of a job in bytes of JSON.'),
  JOB_RETENTION: retention
    .prefault('30d')
    .describe(
      'How long jobs that succeeded, were cancelled or were discarded are kept; `30d,succeeded=7d` sets it for one of these states, `keep` of a contract for its jobs. Dead jobs are kept until somebody replays or discards them.',
    ),
  LOG_LEVEL: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
    .prefault('info')
    .describe('Lowest level that is logged.'),
  OTEL_EXPORTER_OTLP_ENDPOINT: url('http', 'https')
    .optional()
    .describe('Endpoint for traces, by OTLP over HTTP; without it none are made. See docs/tracing.md.'),
  SMTP_URL: url('smtp', 'smtps').prefault('smtp://localhost:1025').describe('Mail server of `email.send`.'),
  MAIL_FROM: z.string().min(3).prefault('Warren <warren@localhost>').describe('Sender of `email.send`.'),
  FILES_DIR: z
    .string()
    .min(1)
    .prefault('var/files')
    .describe('Folder that `image.resize` reads pictures from, and that files made by jobs are written to.'),
  WEBHOOK_SECRET: signingSecret
    .optional()
    .describe('Secret with which `webhook.deliver` signs (Standard Webhooks); without it these jobs fail.'),
  ALLOW_PRIVATE_TARGETS: z
    .stringbool()
    .prefault('false')
    .describe(
      'Lets `webhook.deliver` and `image.resize` connect to private, loopback and link-local addresses.',
    ),
  ...notificationSettings,
});

/** The checked settings, as the apps inject them: `constructor(private readonly settings: Settings)`. */
export interface Settings extends z.output<typeof schema> {}
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: one name for the type and for the injection token
export abstract class Settings {}

/** Settings that cannot be used. Its message names every wrong one, what is wrong and where to read more. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

/**
 * Reads and checks the settings: from the environment and, for names that are not set there, from a file `.env` in
 * the working directory. An empty value counts as not set.
 *
 * @throws SettingsError that names every wrong setting at once.
 */
export function loadSettings(environment?: NodeJS.ProcessEnv): Settings {
  if (environment) return checkSettings(environment);
  loadDotEnv();
  return checkSettings(process.env);
}

function checkSettings(environment: NodeJS.ProcessEnv): Settings {
  const given: Record<string, string> = {};
  for (const name of Object.keys(schema.shape)) {
    const value = environment[name];
    if (value) given[name] = value;
  }
  const checked = schema.superRefine(checkOpenId).safeParse(given);
  const wrong = checked.success
    ? []
    : checked.error.issues.map((issue) => [String(issue.path[0]), issue.message] as const);
  const unfit = (given.NODE_ENV === 'production' ? unfitForProduction({ ...defaults(), ...given }) : []).map(
    ([name, problem]) => [name, given[name] ? problem : `is not set, and its default ${problem}`] as const,
  );
  if (checked.success && unfit.length === 0) return checked.data;
  const problems = [...wrong, ...unfit].map(
    ([name, problem]) => `  ${name}: ${problem} (found ${shown(name, environment[name])})`,
  );
  throw new SettingsError(
    `These settings cannot be used:\n${problems.join('\n')}\nEach is explained in docs/settings.md and .env.example.`,
  );
}

/** One setting as documents show it: its name, its default as it is written in the environment, and what it does. */
export interface SettingDescription {
  name: string;
  fallback: string;
  description: string;
}

const defaults = () =>
  Object.fromEntries(describeSettings().map(({ name, fallback }) => [name, fallback] as const));

/** Describes every setting, in the order in which documents list them. */
export function describeSettings(): SettingDescription[] {
  return Object.entries(schema.shape).map(([name, type]) => ({
    name,
    fallback: type instanceof z.ZodPrefault ? String(type.def.defaultValue) : '',
    description: type.description ?? '',
  }));
}

/**
 * Hides the credentials of every URL in a text, so that it can be logged or stored: `amqp://***@host`. It looks for
 * `://` and not for a scheme before it: that would take minutes in a message that quotes a megabyte of base64.
 */
export function maskUrl(text: string): string {
  return text.includes('://') ? text.replace(/:\/\/[^\s/]*@/g, '://***@') : text;
}

function shown(name: string, value: string | undefined): string {
  if (value === undefined) return 'nothing';
  if (/KEY|SECRET|USERS|WEBHOOK/.test(name)) return 'a value that is not shown';
  // Up to the last @, because an unescaped slash in a password is what makes some of these no URLs.
  return JSON.stringify(value.replace(/:\/\/.*@/s, '://***@').slice(0, 200));
}
