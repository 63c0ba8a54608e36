import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { attribute, html } from './html.js';

const text = (made: { toString(): string }) => made.toString();

describe('what is put into a template', () => {
  test('is text between tags and in attributes', () => {
    const nasty = `<img src=x onerror="f()">&'`;
    const escaped = '&lt;img src=x onerror=&quot;f()&quot;&gt;&amp;&#39;';
    expect(text(html`<p title="${nasty}">${nasty}</p>`)).toBe(`<p title="${escaped}">${escaped}</p>`);
  });
  test('never makes a tag or leaves its attribute, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (value) => {
        const [, inAttribute, inText] =
          /^<p title="(.*)">(.*)<\/p>$/s.exec(text(html`<p title="${value}">${value}</p>`)) ?? [];
        for (const part of [inAttribute, inText]) {
          expect(part).not.toMatch(/[<>"']/);
          expect(part?.replace(/&(amp|lt|gt|quot|#39);/g, '')).not.toContain('&');
        }
      }),
    );
  });
  test('may be made of templates and lists of them', () => {
    expect(text(html`<ul>${['a', '<b>'].map((item) => html`<li>${item}</li>`)}</ul>`)).toBe(
      '<ul><li>a</li><li>&lt;b&gt;</li></ul>',
    );
  });
  test('is nothing when it is null, undefined or false, and a number when it is zero', () => {
    expect(text(html`<p>${null}${undefined}${false}${0}</p>`)).toBe('<p>0</p>');
  });
  test('is not taken for safe because it looks like it', () => {
    const forged = { text: '<b>', toString: () => '<b>' };
    expect(text(html`<p>${forged}</p>`)).toBe('<p>&lt;b&gt;</p>');
  });
});

describe('an attribute', () => {
  test('is there or not', () => {
    expect(text(html`<option ${attribute('selected', true)}>a</option>`)).toBe('<option selected>a</option>');
    expect(text(html`<a ${attribute('aria-current', false, 'page')}>a</a>`)).toBe('<a >a</a>');
  });
  test('is nothing that a value could be', () => {
    expect(() => html`<p ${'onclick=f()'}>a</p>`).toThrow('Within a tag only attribute()');
    expect(() => html`<p ${html`<b>x</b>`}>a</p>`).toThrow('Within a tag only attribute()');
    expect(() => html`<p>${attribute('selected', true)}</p>`).toThrow('belongs within a tag');
    expect(() => html`<p title="${html`<b>x</b>`}">a</p>`).toThrow('An attribute takes text');
  });
});

describe('a URL', () => {
  test('leads into the dashboard', () => {
    expect(text(html`<a href="${'/dashboard?a=1&b=2'}">a</a>`)).toBe(
      '<a href="/dashboard?a=1&amp;b=2">a</a>',
    );
    expect(text(html`<a href="/dashboard/jobs/${'"x'}">a</a>`)).toBe(
      '<a href="/dashboard/jobs/&quot;x">a</a>',
    );
  });
  test.each([
    'javascript:f()',
    '//evil.example',
    'https://evil.example',
    '/dashboard.evil',
    ' /dashboard',
    '',
  ])('%p does not', (url) => {
    expect(() => html`<a href="${url}">a</a>`).toThrow('must begin with /dashboard');
    expect(() => html`<form action="${url}"></form>`).toThrow('must begin with /dashboard');
  });
});

describe('a template is refused whose value stands', () => {
  const places: Record<string, () => unknown> = {
    'in an attribute without quotes': () => html`<p title=${'x'}>a</p>`,
    'in single quotes': () => html`<p title='${'x'}'>a</p>`,
    'in an event handler': () => html`<p onclick="${'x'}">a</p>`,
    'in an event handler in capitals': () => html`<p onClick="${'x'}">a</p>`,
    'in a style': () => html`<p style="${'x'}">a</p>`,
    'in srcdoc': () => html`<iframe srcdoc="${'x'}"></iframe>`,
    'in a script': () => html`<script>${'x'}</script>`,
    'after an open script': () => html`<script>let a = 1;${'x'}</script>`,
    'in a style sheet': () => html`<style>${'x'}</style>`,
    'in a comment': () => html`<!-- ${'x'} -->`,
    "in a tag's name": () => html`<${'x'}>a</p>`,
    "in an attribute's name": () => html`<p ${'x'}="a">a</p>`,
  };
  test.each(Object.keys(places))('%s', (place) => {
    expect(places[place]).toThrow(TypeError);
  });
});
