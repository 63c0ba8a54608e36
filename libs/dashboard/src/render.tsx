import { isValidElement, options, type VNode } from 'preact';
import { renderToString } from 'preact-render-to-string';
import type { Visitor } from './access.js';
import { isOurs } from './addresses.js';
import { Viewer } from './components/viewer.js';

/** Attributes that lead somewhere. */
const URLS = new Set(['href', 'src', 'action', 'formaction']);
/** What a browser acts on, whatever is escaped in it. */
const ACTIVE_ATTRIBUTES = /^(on.*|style|srcdoc|srcset|xlink:?href|http-?equiv|dangerouslysetinnerhtml)$/;
const ACTIVE_ELEMENTS = /^(base|embed|iframe|noscript|object|plaintext|style|template|xmp)$/;

/** JSX escapes what is put in; this refuses the places where that is not enough. */
options.vnode = ({ type, props }: VNode<Record<string, unknown>>) => {
  if (typeof type !== 'string') return;
  if (ACTIVE_ELEMENTS.test(type) || (type === 'script' && props.children !== undefined))
    throw new TypeError(`A page has no <${type}> with content`);
  for (const [name, value] of Object.entries(props)) {
    const lower = name.toLowerCase();
    if (ACTIVE_ATTRIBUTES.test(lower)) throw new TypeError(`A page has no attribute ${name}`);
    if (URLS.has(lower) && value !== undefined && !isOurs(value) && value !== '#content')
      throw new TypeError(`${name} must begin with /dashboard`);
  }
};

/** Whether a controller answered with a page. */
export const isPage = (answer: unknown): answer is VNode => isValidElement(answer);

/** A page as HTML, for one visitor; for nobody in particular without one. */
export const renderPage = (page: VNode, visitor: Visitor | undefined): string =>
  `<!doctype html>${renderToString(<Viewer.Provider value={visitor}>{page}</Viewer.Provider>)}`;
