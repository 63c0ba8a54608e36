/** Keeps a page fresh. Without this script everything is there, as it was when the page was loaded. */

/** Brings times up to date: `3 min ago`. The server writes them the same way. */
const units = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
];
function tellTimes() {
  for (const element of document.querySelectorAll('time')) {
    const date = new Date(element.dateTime);
    const ms = date - Date.now();
    const [unit, size] = units.find(([, size]) => Math.abs(ms) >= size) ?? ['s', 1_000];
    const amount = Math.round(Math.abs(ms) / size);
    const text = amount === 0 ? 'now' : ms < 0 ? `${amount} ${unit} ago` : `in ${amount} ${unit}`;
    if (element.textContent !== text) element.textContent = text;
    element.title = date.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'long' });
  }
}

/** Makes one element like another, changing only what differs: focus and open details stay. No text is ever read as HTML. */
function become(now, next) {
  if (now.nodeType !== next.nodeType || now.nodeName !== next.nodeName) {
    now.replaceWith(document.importNode(next, true));
    return;
  }
  if (now.nodeType !== Node.ELEMENT_NODE) {
    if (now.nodeValue !== next.nodeValue) now.nodeValue = next.nodeValue;
    return;
  }
  for (const { name } of [...now.attributes]) {
    if (!next.hasAttribute(name) && !(name === 'open' && now.nodeName === 'DETAILS'))
      now.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) {
    if (now.getAttribute(name) !== value) now.setAttribute(name, value);
  }
  const children = [...next.childNodes];
  while (now.childNodes.length > children.length) now.lastChild.remove();
  for (const [index, child] of children.entries()) {
    const current = now.childNodes[index];
    if (current) become(current, child);
    else now.append(document.importNode(child, true));
  }
}

let isLoading = false;
let isWanted = false;

/** Loads this page again and puts in what has changed. */
async function refresh() {
  isWanted = true;
  if (isLoading || document.hidden) return;
  isLoading = true;
  try {
    while (isWanted) {
      isWanted = false;
      const response = await fetch(location.href, { headers: { accept: 'text/html' } });
      // The session has ended, or the job is gone: the whole page says so.
      if (response.redirected || response.status === 404) return location.reload();
      if (!response.ok) return;
      const next = new DOMParser().parseFromString(await response.text(), 'text/html');
      become(document.querySelector('main'), next.querySelector('main'));
      tellTimes();
    }
  } catch {
    // The api is away; the event source tries again.
  } finally {
    isLoading = false;
  }
}

const { events } = document.body.dataset;
let source;
/** A browser has few connections to one server: a page that nobody sees holds none. */
function listen() {
  source?.close();
  if (document.hidden) return;
  source = new EventSource(events);
  source.addEventListener('changed', refresh);
  // Refused for good, by the end of the session for example: the page itself then says so.
  source.addEventListener('error', () => source.readyState === EventSource.CLOSED && refresh());
  refresh();
}
if (events) {
  document.addEventListener('visibilitychange', listen);
  listen();
}
const editor = document.querySelector('form.editor');
let typing;
/** Says what is wrong with a text while somebody types. */
async function check() {
  const body = new URLSearchParams(new FormData(editor));
  const response = await fetch(editor.action, { method: 'POST', body }).catch(() => undefined);
  if (!response?.ok || response.redirected) return;
  const next = new DOMParser().parseFromString(await response.text(), 'text/html').querySelector('#checked');
  if (next) become(document.querySelector('#checked'), next);
}
editor?.addEventListener('input', () => {
  clearTimeout(typing);
  typing = setTimeout(check, 300);
});
tellTimes();
setInterval(tellTimes, 1_000);
