import { expect, test } from '@jest/globals';
import { inJson, inSlacksForm } from './forms.js';

const at = new Date('2026-01-02T03:04:05.678Z');
const notice = {
  type: 'dead-letters',
  title: '2 new dead letters, with 1 error',
  lines: ['2 jobs email.send in email: no <!channel> @all `x`\n*y* <http://evil.example|Slack> & co'],
  advice: 'Fix the cause.',
  link: 'https://jobs.example.com/dashboard',
};

test("in Slack's form nothing of a job is a mention, a link or a format", () => {
  expect(inSlacksForm(notice, at, at.getTime() + 1_000)).toEqual({
    text: [
      '*2 new dead letters, with 1 error*',
      "• `2 jobs email.send in email: no &lt;!channel&gt; @\u200ball 'x' *y* &lt;http://evil.example|Slack&gt; &amp; co`",
      'Fix the cause.',
      '<https://jobs.example.com/dashboard|Open the dashboard>',
    ].join('\n'),
    unfurl_links: false,
    unfurl_media: false,
  });
});

test('a message that comes late says when it was written', () => {
  expect(inSlacksForm(notice, at, at.getTime() + 3_600_000).text).toMatch(
    /^\*.*\* \(2026-01-02T03:04:05.678Z\)\n/,
  );
});

test('programs get it as it is', () => {
  const { type, ...data } = notice;
  expect(inJson(notice, at)).toEqual({ type, timestamp: '2026-01-02T03:04:05.678Z', data });
});
