import { z } from 'zod';
import { grouped } from '#config';
import { text } from '#http';
import type { StoredError } from '#records';
import { type Html, html, type Value } from './html.js';

/** The pieces that pages are made of. */

/** A state, told by its word, its colour and its mark. */
export const badge = (state: string): Html => html`<span class="badge ${state}">${state}</span>`;

/** A time: how long ago or ahead it is, with the time itself behind it. */
export function time(at: Date | string | null | undefined, now = Date.now()): Html {
  if (!at) return html`<span class="none">–</span>`;
  const date = new Date(at);
  const iso = date.toISOString();
  return html`<time datetime="${iso}" title="${iso.replace('T', ' ').replace(/\.\d+Z/, ' UTC')}">${relative(date.getTime() - now)}</time>`;
}

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
] as const;

/** `3 min ago`, `in 2 h`, `now`. The script of the pages does the same as time goes on. */
function relative(ms: number): string {
  const [unit, size] = UNITS.find(([, size]) => Math.abs(ms) >= size) ?? ['s', 1_000];
  const amount = Math.round(Math.abs(ms) / size);
  if (amount === 0) return 'now';
  return ms < 0 ? `${amount} ${unit} ago` : `in ${amount} ${unit}`;
}

/** How long something took: `340 ms`, `2.1 s`, `4 min 10 s`, `3 d 2 h`. */
export function duration(from: Date | string | null, to: Date | string | null): string {
  if (!from || !to) return '';
  const ms = Math.max(0, new Date(to).getTime() - new Date(from).getTime());
  if (ms < 1_000) return `${ms} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor((seconds % 3_600) / 60)];
  if (hours >= 48) return `${Math.floor(hours / 24)} d ${hours % 24} h`;
  return hours > 0 ? `${hours} h ${minutes} min` : `${minutes} min ${seconds % 60} s`;
}

/** A number for people: `12,345`. */
export const number = grouped;

/** A count that stands back when it is zero. */
export const count = (value: number, kind = ''): Html =>
  value === 0 ? html`<span class="none">0</span>` : html`<span class="${kind}">${number(value)}</span>`;

/** An error and what caused it. */
export const failure = (kind: 'problem' | 'error', { causes = [], ...error }: StoredError): Html =>
  html`<p class="${kind}">${said(error)}</p>${causes.length > 0 && html`<ul class="causes" aria-label="Caused by">${causes.map((cause) => html`<li>${said(cause)}</li>`)}</ul>`}`;

const said = ({ class: type, code, message }: Omit<StoredError, 'stack'>) =>
  html`<strong>${type}</strong> ${code && html`<code>${code}</code> `}${message}`;

/** The address of a job's page. */
export const jobPath = (id: string): string => `/dashboard/jobs/${encodeURIComponent(id)}`;

/** The end of an id, which tells jobs apart better than its beginning, which is the time. */
export const jobLink = (id: string): Html =>
  html`<a class="id" href="${jobPath(id)}" title="${id}">…${id.slice(-12)}</a>`;

/** The address of a page with these parameters; those that are not given are left out. */
export function address(path: string, parameters: Record<string, string | undefined>): string {
  const given = Object.entries(parameters).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  return given.length > 0 ? `${path}?${new URLSearchParams(given)}` : path;
}

/** A column of a {@link table}: its heading, and whether it holds numbers. */
export type Column = string | { label: string; kind: 'number' | 'wide' | 'actions' };

/** A table that becomes a list of cards where it is narrow; then each cell says its column. */
export function table(
  caption: string,
  columns: readonly Column[],
  rows: readonly (readonly Value[])[],
): Html {
  const shown = columns.map((column) => (typeof column === 'string' ? { label: column, kind: '' } : column));
  return html`<div class="scroll"><table><caption class="unseen">${caption}</caption>
<thead><tr>${shown.map(({ label, kind }) => html`<th scope="col" class="${kind}">${kind === 'actions' ? html`<span class="unseen">${label}</span>` : label}</th>`)}</tr></thead>
<tbody>${rows.map((cells) => html`<tr>${cells.map((cell, index) => html`<td class="${shown[index]?.kind}" data-label="${shown[index]?.label}">${cell}</td>`)}</tr>`)}</tbody>
</table></div>`;
}

/** What a page says when it has nothing to show. */
export const empty = (title: string, text: Value): Html =>
  html`<div class="empty"><h2>${title}</h2><p>${text}</p></div>`;

/**
 * The same for what only looks: what cannot be understood counts as not given, so that an address which somebody typed
 * shows something, not an error. Never for actions, which would then be done to more than was meant.
 */
export const optionalText = text(200)
  .transform((value) => value.trim())
  .pipe(z.string().min(1))
  .optional()
  .catch(undefined);
