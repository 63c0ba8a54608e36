import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { type Command, Option } from 'commander';
import { type JobRetry, type JobState, jobStates, type Priority, priorities } from '#define-job';
import type { JobView, LogLine, MessageView } from '#records';
import { lineText } from '#resources';
import { type BulkOptions, withSelection, withState } from './bulk.js';
import { Failure, notFound, wrongUse } from './exit.js';
import { mustBeKnown } from './known.js';
import { cancelMany, isOne } from './many-jobs.js';
import { answer, clean, cut, table, toJson } from './output.js';
import { type Common, command, withTools } from './run.js';
import type { Tools } from './tools.js';
import { readCount, readDelay, readId, readJson, readRetry, readTags, readTime } from './values.js';

/** How long to wait for the broker. Without it, a worker's relay publishes the job. */
const BROKER_TIMEOUT_MS = 2_000;
const POLL_INTERVAL_MS = 20;
const LONGEST_ERROR = 60;

interface ListOptions extends Common {
  state?: JobState;
  name?: string;
  queue?: string;
  batch?: string;
  tag?: string;
  where?: string;
  limit: number;
  cursor?: string;
}

interface EnqueueOptions extends Common {
  delay?: string;
  retry?: JobRetry;
  timeout?: string;
  startWithin?: string;
  runAt?: Date;
  idempotencyKey?: string;
  queue?: string;
  priority?: Priority;
  tag?: string[];
}

/** Adds the commands list, show, log, enqueue and cancel. */
export function addJobs(program: Command): void {
  command(
    program,
    'list',
    'list jobs, newest first',
    'list --state dead --queue email',
    'list --json --limit 5',
  )
    .addOption(new Option('--state <state>').choices(jobStates))
    .option('--name <name>', 'of the contract, such as email.send')
    .option('--queue <queue>', 'of this queue')
    .option('--batch <id>', 'of this batch', readId)
    .option('--tag <tag>', 'with this tag')
    .option('--where <pointer:value>', 'whose payload has this, such as /customer/id:42; looks at the newest')
    .option('--limit <number>', 'at most so many', readCount(1_000), 20)
    .option('--cursor <id>', 'go on after this job: the `next` of the page before', readId)
    .action((options: ListOptions) => withTools((tools) => list(tools, options)));

  command(program, 'show', 'show a job, with its attempts', 'show 01890a5d-ac96-774b-bcce-b302099a8057')
    .argument('<id>', '', readId)
    .action((id: string, options: Common) =>
      withTools(async (tools) => {
        const job = await find(tools, id);
        answer(options, { ...job, message: await tools.queries.messageOf(job) }, describe);
      }),
    );

  command(
    program,
    'log',
    'show what the handler of a job logged, oldest first; at most 1,000 lines',
    'log 01890a5d-ac96-774b-bcce-b302099a8057 --attempt 2',
  )
    .argument('<id>', '', readId)
    .option('--attempt <number>', 'only of this attempt', readCount(999_999_999))
    .action((id: string, { attempt, ...options }: Common & { attempt?: number }) =>
      withTools(async (tools) => {
        await find(tools, id);
        answer(options, { items: await tools.logs.of(id, { attempt }) }, logTable);
      }),
    );

  command(
    program,
    'enqueue <name> <payload>',
    'enqueue a job; the payload is JSON, or - to read it from standard input',
    `enqueue email.send '{"to":"ada@example.com","subject":"Hello","text":"World"}' --delay 10m`,
    'enqueue report.generate - < report.json',
  )
    .option('--delay <duration>', 'run no earlier than this long from now, such as 10m')
    .option('--run-at <time>', 'run no earlier than this, such as 2027-01-31T09:00:00Z', readTime)
    .option('--queue <queue>', 'wait in this queue')
    .option('--tag <tag>', 'find it by this; may be given up to 10 times', readTags)
    .addOption(new Option('--priority <priority>', 'where the queue has priorities').choices(priorities))
    .option(
      '--retry <delays>',
      'try again after these, such as 5s,1m; or {"attempts":8,"first":"5s"}',
      readRetry,
    )
    .option('--timeout <duration>', 'how long an attempt may take')
    .option('--start-within <duration>', 'if it could not start so soon after its time to run, it is dead')
    .option('--idempotency-key <key>', 'with the same key again, within a day, no second job is made')
    .action(async (name: string, given: string, options: EnqueueOptions) => {
      if (options.delay !== undefined && options.runAt)
        throw wrongUse('--delay and --run-at exclude each other');
      const payload = await readJson(given === '-' ? await text(process.stdin) : given);
      await withTools((tools) => enqueue(tools, name, payload, options));
    });

  withState(
    withSelection(
      command(
        program,
        'cancel',
        'cancel jobs; those that run are told',
        'cancel 01890a5d-ac96-774b-bcce-b302099a8057',
        'cancel --queue email --to 2027-01-31',
      ),
      'were enqueued',
    ),
  ).action(async (ids: string[], options: BulkOptions) => {
    const [id] = ids;
    if (id === undefined || !isOne(ids, options)) return cancelMany(ids, options);
    await withTools((tools) => cancel(tools, id, options));
  });
}

async function list(tools: Tools, { cursor, where, ...options }: ListOptions): Promise<void> {
  const { readWhere, saidBy } = await import('#records');
  const filter = { ...options, before: cursor, where: where === undefined ? undefined : readWhere(where) };
  const page = await tools.search.list(filter);
  const { items, next, lookedBackTo } = page;
  if (items.length === 0) await mustBeKnown(tools, options);
  answer(options, page, () =>
    [
      table(
        ['ID', 'NAME', 'QUEUE', 'STATE', 'ATTEMPT', 'CREATED', 'ERROR'],
        items.map(({ id, name, queue, state, attempt, maxAttempts, createdAt, error }) => [
          ...[id, name, queue, state, `${attempt} of ${maxAttempts}`, createdAt],
          error ? cut(saidBy(error), LONGEST_ERROR) : null,
        ]),
      ),
      ...(lookedBackTo ? [`Looked back as far as ${lookedBackTo.toISOString()}`] : []),
      ...(next ? [`${lookedBackTo ? 'Look further back' : 'More'}: --cursor ${next}`] : []),
    ].join('\n'),
  );
}

async function enqueue(
  { jobs, broker }: Tools,
  name: string,
  payload: unknown,
  { json, delay, timeout, startWithin, tag: tags, ...options }: EnqueueOptions,
): Promise<void> {
  const contract = jobs.contract(name);
  const { queue } = options;
  if (queue !== undefined && !jobs.hasQueue(queue))
    throw notFound(`No contract has a queue named ${clean(queue)}`);
  for (let waited = 0; broker.publisher.room === 0 && waited < BROKER_TIMEOUT_MS; waited += POLL_INTERVAL_MS)
    await pause(POLL_INTERVAL_MS);
  const job = await jobs.enqueue(contract, payload, {
    ...options,
    tags,
    client: 'command line',
    delay: await readDelay(delay),
    timeout: await readDelay(timeout),
    startWithin: await readDelay(startWithin),
  });
  answer({ json }, job, ({ id, isNew, state }) =>
    isNew ? `Enqueued ${id}, ${state}` : `Not enqueued again: the key belongs to ${id}, ${state}`,
  );
}

async function cancel(tools: Tools, id: string, options: Common): Promise<void> {
  await find(tools, id);
  const touched = await tools.audited('job.cancel', id, async () => (await tools.store.cancel([id])).length);
  const job = await find(tools, id);
  if (!touched && job.state !== 'cancelled') throw new Failure(`The job is ${job.state}: it has ended`);
  answer(options, job, ({ state }) =>
    state === 'running' ? 'It runs, and was told; it is cancelled when its handler ends' : `Cancelled ${id}`,
  );
}

const logTable = ({ items }: { items: readonly LogLine[] }) =>
  table(
    ['TIME', 'ATTEMPT', 'LEVEL', 'MESSAGE'],
    items.map((line) => [line.at, line.attempt, line.level, lineText(line)]),
  );

async function find({ queries }: Tools, id: string): Promise<JobView> {
  const job = await queries.find(id);
  if (!job) throw notFound(`No job has the id ${id}`);
  return job;
}

function describe({
  attempts,
  payload,
  upgradedPayload,
  result,
  error,
  previous,
  message,
  waitingFor,
  ...job
}: JobView & { message: MessageView | null }): string {
  const facts = Object.entries(job).filter(([, value]) => value !== null && String(value) !== '');
  return [
    ...facts.map(
      ([name, value]) =>
        `${name.padEnd(17)}  ${value instanceof Date ? value.toISOString() : clean(String(value))}`,
    ),
    ...(waitingFor === null ? [] : [`waitingFor         ${waitingFor.what}: ${clean(waitingFor.detail)}`]),
    `payload            ${toJson(payload)}`,
    ...(upgradedPayload === undefined ? [] : [`upgraded           ${toJson(upgradedPayload)}`]),
    ...(result === null ? [] : [`result             ${toJson(result)}`]),
    ...(previous === null ? [] : [`previous           ${toJson(previous)}`]),
    ...(message === null ? [] : ['', ...received(message)]),
    ...(attempts.length === 0
      ? []
      : [
          '',
          table(
            ['ATTEMPT', 'OUTCOME', 'STARTED', 'FINISHED', 'WORKER', 'CPU, HEAP', 'ERROR'],
            attempts.map(({ attempt, outcome, startedAt, finishedAt, worker, error, used }) => [
              ...[attempt, outcome, asDate(startedAt), asDate(finishedAt), worker],
              used ? `${used.cpuMs ?? '?'} ms, ${Math.ceil(used.heapBytes / 2 ** 20)} MiB` : null,
              error && `${error.class}: ${error.message}`,
            ]),
          ),
        ]),
    ...(error?.causes ?? []).map(
      ({ class: type, code, message }) =>
        `Caused by ${clean(`${type}${code ? ` ${code}` : ''}: ${message}`)}`,
    ),
    ...(error?.onDead ? [`onDead failed: ${clean(error.onDead)}`] : []),
    ...(error?.stack ? ['', ...error.stack.split('\n').map(clean)] : []),
  ].join('\n');
}

const received = ({ properties, headers, size, body, encoding }: MessageView) => [
  `received           ${size} bytes${encoding === 'hex' ? ', in hexadecimal digits' : ''}`,
  `properties         ${toJson(properties)}`,
  `headers            ${toJson(headers)}`,
  clean(body),
];

const asDate = (time: string | Date | null) => time && new Date(time);
