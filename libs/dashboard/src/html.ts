/**
 * HTML from a template: html`<a href="/dashboard/jobs/${id}">${name}</a>`.
 *
 * Whatever is put in is text, and stays text: it is escaped. And it can only be put where escaping is enough, which
 * each template is checked for when it is used first: between tags, or between the double quotes of an attribute that
 * is neither a script nor a style; a URL must begin with a path of the dashboard. So no value can become a tag, an
 * attribute or a script, and there is no way to put in text unescaped.
 */
export function html(strings: TemplateStringsArray, ...values: Value[]): Html {
  const places = placesOf(strings);
  let text = strings[0] ?? '';
  for (const [index, value] of values.entries()) {
    text += fill(places[index] as Place, value) + strings[index + 1];
  }
  return new SafeHtml(text);
}

/** An attribute that is there or not: html`<option ${attribute('selected', isChosen)}>`. */
export function attribute(
  name: 'selected' | 'disabled' | 'open' | 'required' | 'autofocus',
  when: boolean,
): Html;
export function attribute(name: 'aria-current', when: boolean, value: 'page' | 'true'): Html;
export function attribute(name: string, when: boolean, value?: string): Html {
  return new SafeAttribute(when ? (value ? `${name}="${value}"` : name) : '');
}

/** What {@link html} made. */
export interface Html {
  toString(): string;
}

/** What a template may hold; nothing is shown of null, undefined and false. */
export type Value = Html | string | number | null | undefined | false | readonly Value[];

/** Neither class leaves this file, so nothing else can pass for safe. */
class SafeHtml implements Html {
  constructor(readonly text: string) {}
  toString(): string {
    return this.text;
  }
}
class SafeAttribute extends SafeHtml {}

/** Whether something is what {@link html} made. */
export const isHtml = (value: unknown): value is Html => value instanceof SafeHtml;

/** Where in the HTML a value stands. */
type Place = 'text' | 'tag' | 'attribute' | 'url';

function fill(place: Place, value: Value): string {
  if (value === null || value === undefined || value === false) return '';
  if (place === 'tag') {
    if (value instanceof SafeAttribute) return value.text;
    throw new TypeError('Within a tag only attribute() may be put');
  }
  if (place === 'text') {
    if (value instanceof SafeAttribute) throw new TypeError('attribute() belongs within a tag');
    if (value instanceof SafeHtml) return value.text;
    if (Array.isArray(value)) return value.map((item) => fill(place, item)).join('');
  } else if (typeof value === 'object') throw new TypeError('An attribute takes text');
  const text = String(value);
  if (place === 'url' && !/^\/dashboard(?![^/?#])/.test(text))
    throw new TypeError('A URL must begin with /dashboard');
  return escaped(text);
}

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
const escaped = (text: string) => text.replace(/[&<>"']/g, (character) => ENTITIES[character] as string);

const URLS = new Set(['href', 'src', 'action', 'formaction']);
/** Attributes and elements whose content is more than text. */
const isActive = (name: string) => /^on|^(style|srcdoc|srcset|content|xlink:href|http-equiv)$/.test(name);
const RAW = new Set([
  'script',
  'style',
  'iframe',
  'object',
  'embed',
  'noscript',
  'template',
  'xmp',
  'plaintext',
]);

const known = new WeakMap<TemplateStringsArray, Place[]>();

/** Where the values of a template stand. @throws TypeError where none may. */
function placesOf(strings: TemplateStringsArray): Place[] {
  let places = known.get(strings);
  if (places) return places;
  places = [];
  let rest = '';
  for (const part of strings.slice(0, -1)) {
    rest += part;
    const place = placeAtEnd(rest);
    places.push(place);
    // Stands for the value in what is read next; a value at a URL's beginning is no reason to look at the next one.
    rest += place === 'tag' ? '' : 'x';
  }
  known.set(strings, places);
  return places;
}

/** Reads well-formed HTML as this project writes it; anything else is refused rather than guessed at. */
const TOKEN =
  /<!doctype html>|<\/[a-z][a-z0-9-]*>|<([a-z][a-zA-Z0-9-]*)((?:\s+[a-z][a-zA-Z0-9:-]*(?:="[^"]*")?)*)\s*\/?>|[^<]+/gy;

function placeAtEnd(text: string): Place {
  TOKEN.lastIndex = 0;
  let end = 0;
  for (let token = TOKEN.exec(text); token; token = TOKEN.exec(text)) {
    end = TOKEN.lastIndex;
    if (token[1] && RAW.has(token[1]) && !text.startsWith(`></${token[1]}>`, end - 1)) {
      throw new TypeError(`No value may stand within <${token[1]}>`);
    }
  }
  const open = text.slice(end);
  if (open === '') return 'text';
  if (/^<[a-z][a-zA-Z0-9-]*(?:\s+[a-z][a-zA-Z0-9:-]*(?:="[^"]*")?)*\s+$/.test(open)) return 'tag';
  const [, name = '', value] =
    /^<[a-z][a-zA-Z0-9-]*(?:\s+[a-z][a-zA-Z0-9:-]*(?:="[^"]*")?)*\s+([a-z][a-zA-Z0-9:-]*)="([^"]*)$/.exec(
      open,
    ) ?? [];
  if (!name || isActive(name.toLowerCase())) {
    throw new TypeError(`No value may stand here: …${open.slice(-60)}`);
  }
  return URLS.has(name.toLowerCase()) && value === '' ? 'url' : 'attribute';
}
