import type { Visitor } from './access.js';
import { assetUrl } from './assets.js';
import { attribute, type Html, html, type Value } from './html.js';

/** The pages, as the navigation lists them. */
const pages = [
  ['overview', '/dashboard', 'Overview'],
  ['jobs', '/dashboard/jobs', 'Jobs'],
  ['dead-letters', '/dashboard/dead-letters', 'Dead letters'],
  ['schedules', '/dashboard/schedules', 'Schedules'],
  ['batches', '/dashboard/batches', 'Batches'],
  ['workers', '/dashboard/workers', 'Workers'],
  ['audit', '/dashboard/audit', 'Audit'],
] as const;

/** One page of the dashboard. */
export interface Page {
  title: string;
  /** Absent for those who are not signed in. */
  visitor?: Visitor;
  /** Which entry of the navigation this is. */
  here?: (typeof pages)[number][0];
  /** Where the browser is told when to look again; only what is marked by `data-live` is then replaced. */
  live?: string;
  /** What an action led to, said once. */
  notice?: string;
  body: Value;
}

/** Puts a page into its frame. */
export function page({ title, visitor, here, live, notice, body }: Page): Html {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>${title} · Warren</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="${assetUrl('icon.svg')}">
<link rel="stylesheet" href="${assetUrl('styles.css')}">
<script src="${assetUrl('live.js')}" defer></script>
</head>
<body data-events="${live ?? ''}">
<a class="skip" href="#content">Skip to content</a>
<header class="bar">
<a class="brand" href="/dashboard">${mark}Warren</a>
${visitor && navigation(here)}
${visitor && account(visitor)}
</header>
<main id="content" tabindex="-1">
${notice && html`<p class="notice" role="status">${notice}</p>`}
${body}
</main>
</body>
</html>`;
}

const navigation = (here: Page['here']) => html`<nav aria-label="Pages"><ul>
${pages.map(
  ([id, path, label]) =>
    html`<li><a href="${path}" ${attribute('aria-current', id === here, 'page')}>${label}</a></li>`,
)}
</ul></nav>`;

const account = (visitor: Visitor) =>
  visitor.isAnonymous
    ? html`<p class="account" title="DASHBOARD_USERS is not set, and this api listens on loopback only">open to this machine</p>`
    : html`<form class="account" method="post" action="/dashboard/sign-out">
<span title="${visitor.role}">${visitor.name}${visitor.role === 'viewer' && ' (viewer)'}</span>
${token(visitor)}<button class="quiet">Sign out</button></form>`;

/** Goes into every form that changes something. */
export const token = ({ csrf }: Visitor): Html => html`<input type="hidden" name="csrf" value="${csrf}">`;

/** A form of one button; nothing for those who may not press it. */
export function actionForm(
  visitor: Visitor,
  action: string,
  label: string,
  {
    kind = '',
    fields = {},
    about = '',
  }: { kind?: '' | 'danger' | 'primary'; fields?: Record<string, string>; about?: string } = {},
): Html | false {
  if (visitor.role !== 'operator') return false;
  return html`<form method="post" action="${action}">${token(visitor)}${Object.entries(fields).map(
    ([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`,
  )}<button class="${kind}">${label}${about && html`<span class="unseen"> ${about}</span>`}</button></form>`;
}

const mark = html`<svg class="mark" viewBox="0 0 24 24" width="22" height="22" aria-hidden="true">
<path d="M3 20a9 9 0 0 1 18 0h-5a4 4 0 0 0-8 0z" fill="currentColor"/>
<path d="M9.5 9C7.6 6.6 7.2 4 8 2.4c1.9.7 3 3.4 3.2 6.2M14.500 9c1.9-2.400 2.300-5 1.500-6.600-1.900.7-3 3.400-3.200 6.200" fill="currentColor"/></svg>`;
