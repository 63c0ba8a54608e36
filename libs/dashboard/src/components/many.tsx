import { BadRequestException } from '@nestjs/common';
import type { VNode } from 'preact';
import { parse } from 'secure-json-parse';
import { z } from 'zod';
import { type Duration, grouped, readBy, toMilliseconds } from '#config';
import { text } from '#http';
import { type Done, type JobFilter, jobStates, readWhere } from '#records';
import { address } from '../addresses.js';
import { ActionButton, Field } from './forms.js';
import { Page } from './page.js';
import { Facts } from './table.js';
import { Text } from './values.js';
import { useMayAct } from './viewer.js';

/** A time as browsers write it, by UTC. */
export const Moment = z.iso.datetime({ local: true });

/** Which are meant, as forms say it. Whatever else a form says is a mistake, and never means all of them. */
export const Selection = z.object({
  state: z.enum(jobStates).optional(),
  name: text(100).min(1).optional(),
  queue: text(255).min(1).optional(),
  error: text(200).min(1).optional(),
  // What a group has in common; empty when its jobs left no message.
  errorForm: text(600).optional(),
  tag: text(100).min(1).optional(),
  where: text(500).min(1).optional(),
  from: Moment.optional(),
  to: Moment.optional(),
});
export type Selection = z.output<typeof Selection>;

const RATE = 'How many a second is a number from 1 to 100000.';
/** What else a form says; a field that is left empty is as good as none. */
const Details = z.object({
  perSecond: z.preprocess(
    (text) => text || undefined,
    z.coerce.number(RATE).int(RATE).min(1, RATE).max(100_000, RATE).optional(),
  ),
  delay: z
    .string()
    .transform(readBy((text) => toMilliseconds(text as Duration)))
    .optional(),
  patch: z.string().transform(readBy(readPatch)).optional(),
});
type Details = z.output<typeof Details>;

const asked = [
  ['delay', () => <Field label="In" name="delay" value="0ms" placeholder="10m" />],
  ['patch', () => <Field label="Patch" name="patch" placeholder='{"currency":"EUR"}' />],
  ['perSecond', () => <Field label="A second" name="perSecond" placeholder="1000" />],
] as const;

/** Something that is done to many. */
interface ManyAction {
  label: string;
  kind: 'danger' | 'primary';
  /** What becomes of them. */
  meaning: string;
  asks: readonly (keyof Details)[];
  /** What it has led to. */
  told(count: number, leftOut: number): string;
}

/** Jobs or dead letters, of which many are chosen by a filter, and what can be done to them. */
export interface Many<Action extends string = string> {
  nouns: 'jobs' | 'dead letters';
  here: 'Jobs' | 'Dead letters';
  filter: z.ZodType<Selection>;
  actions: Record<Action, ManyAction>;
  /** Where they are listed, where it is said how many it will be, and where it is done. */
  paths: { list: string; confirm: string; act: string };
  question(label: string, count: number): string;
}

/** The filter that a form stands for. */
export const meant = <Given extends Selection>({ where, from, to, ...filter }: Given) => ({
  ...filter,
  where: where === undefined ? undefined : readWhere(where),
  from: from === undefined ? undefined : new Date(`${from}Z`),
  to: to === undefined ? undefined : new Date(`${to}Z`),
});

function read<Value>(schema: z.ZodType<Value>, form: unknown, problem?: string): Value {
  const { data, error } = schema.safeParse(form);
  if (error) throw new BadRequestException(problem ?? error.issues[0]?.message);
  return data as Value;
}

/** A JSON Merge Patch, if one is given. */
function readPatch(patch: string): unknown {
  try {
    return patch.trim() ? parse(patch) : undefined;
  } catch (error) {
    throw new Error(`The patch is not valid JSON: ${(error as Error).message}`);
  }
}

const selectionOf = ({ filter, nouns }: Many, form: unknown) =>
  read(filter, form, `It is not clear which ${nouns} are meant.`);

/** The page that says how many it will be, before it is done. @throws BadRequestException */
export async function confirm<Action extends string>(
  many: Many<Action>,
  { action: wanted, ...query }: Record<string, unknown>,
  counting: (filter: JobFilter, action: Action) => Promise<number>,
): Promise<VNode> {
  const { actions, paths, here } = many;
  const action = wanted as Action;
  if (!Object.hasOwn(actions, action))
    throw new BadRequestException(`Unknown action: use one of ${Object.keys(actions).join(', ')}.`);
  const selection = selectionOf(many, query);
  const count = await counting(meant(selection), action);
  const { label, kind, meaning, asks } = actions[action];
  return (
    <Page title={many.question(label, count)} here={here}>
      <Meant {...selection} />
      <p>{meaning}</p>
      <div class="actions">
        {count > 0 && (
          <ActionButton
            {...{ to: address(`${paths.act}/${action}`), kind, fields: selection }}
            label={`${label} ${grouped(count)}`}
          >
            {asked.map(([name, Asked]) => asks.includes(name) && <Asked />)}
          </ActionButton>
        )}
        <Text to={address(paths.list, { ...selection, errorForm: undefined })} of="Back" kind="button" />
      </div>
    </Page>
  );
}

function Meant({ errorForm, ...rest }: Selection) {
  const { state, name, queue, error, tag, where, from, to } = rest;
  const isAll = errorForm === undefined && Object.values(rest).every((value) => value === undefined);
  return (
    <Facts
      of={{
        ...{ State: state, Name: name, Queue: queue },
        'Error contains': error && <Text of={error} kind="error" />,
        Error: errorForm !== undefined && <Text of={errorForm || 'without a message'} kind="error" />,
        ...{ Tag: tag, 'Payload has': where, 'From (UTC)': from, 'To (UTC)': to },
        Which: isAll && 'all',
      }}
    />
  );
}

/** Does it to those that a form means. @returns where that leads, and what the audit line says. @throws BadRequestException */
export async function act<Action extends string>(
  many: Many<Action>,
  action: Action,
  form: unknown,
  task: (filter: JobFilter, details: Details) => Promise<Done>,
) {
  const selection = selectionOf(many, form);
  const { count, leftOut = 0 } = await task(meant(selection), read(Details, form));
  // Of dead letters none that were meant are left to look at.
  const left = many.nouns === 'jobs' ? selection : {};
  const notice = { done: action, count: `${count}`, left: `${leftOut}` };
  return { url: address(many.paths.list, { ...left, ...notice }), count, leftOut };
}

/** What an action led to, by what the address carries. */
export function noticeOf({ actions }: Many, { done, count, left }: Record<string, unknown>) {
  const [changed, leftOut] = [count, left].map((text) => Math.trunc(Number(text)) || 0);
  return Object.hasOwn(actions, String(done))
    ? actions[String(done)]?.told(changed as number, leftOut as number)
    : undefined;
}

interface ChoicesProps {
  of: Many;
  selection: Selection;
  /** What follows the label of each. */
  what?: string;
}

/** Buttons that lead to the page of {@link confirm}. */
export function Choices({ of: { actions, paths }, selection, what = '' }: ChoicesProps) {
  if (!useMayAct()) return null;
  return (
    <div class="actions">
      {Object.entries(actions).map(([action, { label, kind }]) => (
        <Text
          to={address(paths.confirm, { ...selection, action })}
          of={`${label} ${what}`}
          kind={`button ${kind === 'danger' ? kind : ''}`}
        />
      ))}
    </div>
  );
}
