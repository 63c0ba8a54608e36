import { z } from 'zod';
import { priorities } from '#define-job';
import { type JobContext, type PendingMessage, type Thrown, thrownSchema } from '#jobs';

/** What the worker tells a thread, by structured clone. A thread runs one job at a time. */
export type ToThread =
  | { kind: 'run'; run: number; job: JobData; payload: string; maxBytes: number }
  | { kind: 'abort'; reason: Thrown }
  /** Close the Nest context and end. */
  | { kind: 'close' };

/** The part of a job's context that is data; the rest is made again in the thread. */
export type JobData = Omit<JobContext, 'signal' | 'log' | 'progress' | 'payload'>;

/** The job that something in a thread belongs to. `run` counts the jobs of one thread. */
const owner = z.object({ run: z.number(), job: z.string(), name: z.string(), attempt: z.number() });
export type Owner = z.output<typeof owner>;

const pending: z.ZodType<PendingMessage> = z.object({
  ...{ id: z.uuid(), name: z.string(), queue: z.string(), payload: z.string() },
  ...{ version: z.int().optional(), priority: z.enum(priorities).optional() },
  ...{ traceparent: z.string().optional(), attempt: z.literal(1), claim: z.literal(0) },
});

const used = z.object({ cpuMs: z.number().nullable(), heapBytes: z.int() });

const fromThread = z.discriminatedUnion('kind', [
  /** It serves the handlers of these contracts. */
  z.object({ kind: z.literal('ready'), contracts: z.array(z.string()) }),
  z.object({
    kind: z.literal('progress'),
    run: z.number(),
    fraction: z.number(),
    note: z.string().optional(),
  }),
  /** A log line, of a job or, as Nest's own lines, of none. */
  z.object({ kind: z.literal('log'), run: z.number().optional(), line: z.string() }),
  z.object({ kind: z.literal('succeeded'), run: z.number(), result: z.string(), used }),
  z.object({ kind: z.literal('snoozed'), run: z.number(), delay: z.number().min(0), used }),
  z.object({ kind: z.literal('threw'), run: z.number(), error: thrownSchema, used }),
  /** A job that its handler has enqueued; its record is there. */
  z.object({ kind: z.literal('enqueued'), job: pending }),
  /** The job is over, but for what it left behind. */
  z.object({ kind: z.literal('free'), leftovers: z.array(z.string()) }),
  /** Nobody caught an error, of this job if that can be told. */
  z.object({ kind: z.literal('uncaught'), owner: owner.optional(), error: thrownSchema }),
]);

export type FromThread = z.output<typeof fromThread>;

/** Checks what came out of a thread: handlers can post there, too. @returns undefined when it is none of ours. */
export const parseMessage = (message: unknown): FromThread | undefined => fromThread.safeParse(message).data;
