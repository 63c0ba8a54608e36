import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type ComponentChildren, h, type VNode } from 'preact';
import { renderPage } from './render.js';

const text = (page: VNode) => renderPage(page, undefined).replace('<!doctype html>', '');

describe('what is put into a page', () => {
  test('is text between tags and in attributes', () => {
    const nasty = `<img src=x onerror="f()">&'`;
    expect(text(<p title={nasty}>{nasty}</p>)).toBe(
      `<p title="&lt;img src=x onerror=&quot;f()&quot;>&amp;'">&lt;img src=x onerror=&quot;f()&quot;>&amp;'</p>`,
    );
  });
  test('never makes a tag or leaves its attribute, whatever it is', () => {
    const entities: Record<string, string> = { '&amp;': '&', '&lt;': '<', '&quot;': '"' };
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (value) => {
        const [, inAttribute = '', inText = ''] =
          /^<p title="(.*)">(.*)<\/p>$/s.exec(text(<p title={`a${value}`}>{`a${value}`}</p>)) ?? [];
        for (const part of [inAttribute, inText]) {
          expect(part).not.toMatch(/[<"]/);
          expect(part.replace(/&(amp|lt|quot);/g, '')).not.toContain('&');
          expect(part.replace(/&\w+;/g, (entity) => entities[entity] ?? entity)).toBe(`a${value}`);
        }
      }),
    );
  });
  test('may be made of elements and lists of them', () => {
    const items = ['a', '<b>'].map((item) => <li>{item}</li>);
    expect(text(<ul>{items}</ul>)).toBe('<ul><li>a</li><li>&lt;b></li></ul>');
  });
  test('is nothing when it is null, undefined or false, and a number when it is zero', () => {
    expect(
      text(
        <p>
          {null}
          {undefined}
          {false}
          {0}
        </p>,
      ),
    ).toBe('<p>0</p>');
  });
  test('is not taken for an element because it looks like one', () => {
    const forged = JSON.parse('{"type": "b", "props": {"children": "x"}}') as ComponentChildren;
    expect(text(<p>{forged}</p>)).not.toContain('<b');
  });
});

describe('an attribute', () => {
  test('is there or not', () => {
    expect(text(<input required={true} />)).toBe('<input required/>');
    expect(text(<b title={undefined}>a</b>)).toBe('<b>a</b>');
  });
  test('has no name that a value could give it', () => {
    expect(text(<p {...{ 'x onclick=f() y': 'z', '><b>': 'z' }}>a</p>)).toBe('<p>a</p>');
  });
});

describe('a URL', () => {
  test('leads into the dashboard', () => {
    expect(text(<a href="/dashboard?a=1&b=2">a</a>)).toBe('<a href="/dashboard?a=1&amp;b=2">a</a>');
    expect(text(<a href={`/dashboard/jobs/${'"x'}`}>a</a>)).toBe('<a href="/dashboard/jobs/&quot;x">a</a>');
  });
  test.each([
    'javascript:f()',
    '//evil.example',
    'https://evil.example',
    '/dashboard.evil',
    ' /dashboard',
    '',
  ])('%p does not', (url) => {
    expect(() => <a href={url}>a</a>).toThrow('must begin with /dashboard');
    expect(() => <form action={url} />).toThrow('must begin with /dashboard');
    expect(() => <button type="submit" formAction={url} />).toThrow('must begin with /dashboard');
    expect(() => <img src={url} alt="" />).toThrow('must begin with /dashboard');
  });
});

describe('a page is refused that has', () => {
  const places: Record<string, () => unknown> = {
    'an event handler': () => h('p', { onclick: 'x' }),
    'an event handler in capitals': () => h('p', { onClick: 'x' }),
    'a style': () => h('p', { style: 'color: red' }),
    'a frame with a document': () => h('iframe', { srcdoc: 'x' }),
    'a script with content': () => h('script', null, 'let a = 1;'),
    'a style sheet': () => h('style', null, 'x'),
    'text that is not escaped': () => h('p', { dangerouslySetInnerHTML: { __html: '<b>' } }),
    'a header of its own': () => h('meta', { 'http-equiv': 'refresh', content: '0;url=x' }),
    'a template': () => h('template', null, 'x'),
  };
  test.each(Object.keys(places))('%s', (place) => {
    expect(places[place]).toThrow(TypeError);
  });
  test("a tag's name from outside", () => {
    expect(() => text(h('img src=x onerror=f()', null))).toThrow();
  });
});
