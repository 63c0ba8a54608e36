import type { ComponentChildren } from 'preact';
import { useContext } from 'preact/hooks';
import { grouped } from '#config';
import { assetUrl } from '../assets.js';
import { Token } from './forms.js';
import { Text } from './values.js';
import { Viewer } from './viewer.js';

const pages = [
  ['Overview', '/dashboard'],
  ['Jobs', '/dashboard/jobs'],
  ['Dead letters', '/dashboard/dead-letters'],
  ['Schedules', '/dashboard/schedules'],
  ['Batches', '/dashboard/batches'],
  ['Workers', '/dashboard/workers'],
  ['Audit', '/dashboard/audit'],
] as const;

interface PageProps {
  title: string;
  id?: string;
  /** Which entry of the navigation this is; absent for pages of errors and the sign-in. */
  here?: (typeof pages)[number][0];
  /** Where the browser is told when to look again. */
  live?: string;
  /** What an action led to, said once. */
  notice?: string;
  /** What can be done with all that the page is about. */
  actions?: ComponentChildren;
  children: ComponentChildren;
}

/** A page in its frame. */
export const Page = ({ title, id, here, live, notice, actions, children }: PageProps) => (
  <html lang="en">
    <head>
      <meta charset="utf-8" />
      <title>{`${title} ${id?.slice(-12) ?? ''} · Warren`}</title>
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <meta name="color-scheme" content="light dark" />
      <link rel="icon" href={assetUrl('icon.svg')} />
      <link rel="stylesheet" href={assetUrl('styles.css')} />
      <link rel="stylesheet" href={assetUrl('parts.css')} />
      <script src={assetUrl('live.js')} defer />
    </head>
    <body data-events={live}>
      <a href="#content">Skip to content</a>
      <Header here={here} />
      <main id="content" tabIndex={-1}>
        <p class="notice" role="status">
          {notice}
        </p>
        <div class="head">
          <hgroup>
            <h1>{title}</h1>
            {id && <p class="id">{id}</p>}
          </hgroup>
          <div class="actions">{actions}</div>
        </div>
        {children}
      </main>
    </body>
  </html>
);

function Header({ here }: Pick<PageProps, 'here'>) {
  const visitor = useContext(Viewer);
  const tabs = pages.map(([label, href]) => ({ label, href, isChosen: label === here }));
  return (
    <header>
      <a class="brand" href="/dashboard">
        <img src={assetUrl('icon.svg')} alt="" width="24" height="24" />
        Warren
      </a>
      {visitor && <Tabs about="Pages" tabs={tabs} />}
      {visitor?.isAnonymous && (
        <p title="DASHBOARD_USERS is not set, and this api listens on loopback only">open to this machine</p>
      )}
      {visitor && !visitor.isAnonymous && (
        <form method="post" action="/dashboard/sign-out">
          {visitor.name} {visitor.role === 'viewer' && '(viewer)'}
          <Token />
          <button type="submit">Sign out</button>
        </form>
      )}
    </header>
  );
}

/** A part of a page under its own heading. */
export const Section = ({ title, children }: { title: string; children: ComponentChildren }) => (
  <section aria-label={title}>
    <h2>{title}</h2>
    {children}
  </section>
);

interface Tab {
  label: string;
  href: string;
  isChosen: boolean;
  count?: number;
}

/** Ways to look at something, one of which is chosen. */
export const Tabs = ({ about, tabs }: { about: string; tabs: readonly Tab[] }) => (
  <nav aria-label={about}>
    {tabs.map(({ label, href, isChosen, count }) => (
      <a href={href} aria-current={isChosen ? 'page' : undefined}>
        {label} {count ? <span class="tally">{grouped(count)}</span> : null}
      </a>
    ))}
  </nav>
);

interface PagingProps {
  /** Where a list is looked at from its newest. */
  to: string;
  /** What this page begins after. */
  before?: string;
  /** What the next one does; absent on the last. */
  next?: string | null;
  label?: string;
}

/** To the newest of a list, and to those that are older than what is shown. */
export const Paging = ({ to, before, next, label = 'Older' }: PagingProps) => (
  <nav class="actions" aria-label="Paging">
    {before && <Text to={to} kind="button" of="Newest" />}
    {next && <Text to={`${to}${to.includes('?') ? '&' : '?'}before=${next}`} kind="button" of={label} />}
  </nav>
);
