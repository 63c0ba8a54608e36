import { expect, test } from '@jest/globals';
import { csvRecord } from './csv.js';

test('quotes what RFC 4180 has quoted and ends records with CRLF', () => {
  expect(csvRecord(['plain', 'a,b', 'say "hi"', 'two\r\nlines', '', -5])).toBe(
    'plain,"a,b","say ""hi""","two\r\nlines",,-5\r\n',
  );
});

test.each(['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '=cmd|" /C calc"!A0'])(
  'puts an apostrophe before %p',
  (text) => {
    const record = csvRecord([text]);
    expect(record.replace(/^"/, '').startsWith(`'${text.slice(0, 2)}`)).toBe(true);
  },
);
