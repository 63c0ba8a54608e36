/**
 * Refuses the words that docs/glossary.md replaced, in every file of the project (`npm run words`), or in the files
 * that it is given. Each line names the place and the word to use instead.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

/** Each with what to write instead. */
const REPLACED = [
  [/foreign[-_ ]?letters?/i, 'dead letter, or unprocessable message'],
  [/\bstrangers?\b/i, 'unprocessable message'],
  [/\b(bury|buries|buried|burying)\b/i, 'to dead-letter'],
  [/\bdeeds?\b|[a-z]Deeds?\b/i, 'action'],
  [/\bwish(es|ed)?\b/i, 'request, want'],
  [/\b(owe|owes|owed|owing)\b|\bowe[A-Z]/, 'pending, in the outbox'],
  [/\bat hand\b|\batHand\b/i, 'in flight'],
  [/\bgiv(e|es|en|ing)[-_ ]?back\b/i, 'to release; to return'],
  [/\bpresence\b/i, 'lock'],
  [/\b(losses|suspects?|isAlone|mustRunAlone)\b/, 'crashes, crashed, exclusive'],
  [/\bwhoever\b/i, 'who, anyone who'],
  [/\banew\b/i, 'again'],
  [/\bheed(s|ed|ing)?\b/i, 'to react to, to follow'],
  [/\bfarewell\b/i, 'close'],
  [/coalescers?\b/i, 'statement batcher'],
  [/\bpatience\b|PATIENCE_/i, 'timeout, maximum wait'],
  [/\b(Dead|Outbox|Queue|Worker|Batch)Records\b/, '…Store'],
  [
    /\b(is|are|was) no (json|duration|id|uuid|time|attempt|cursor|contract|file|number|text)\b/i,
    'is not a …',
  ],
  [/\bway of a job\b|way-of-a-job/i, 'job lifecycle'],
];
/** This list, the page that explains it, and what was written when the old words held. */
const EXEMPT =
  /^(scripts\/check-words\.js|test\/integration\/records\/migrations\.test\.ts|docs\/glossary\.md|CHANGELOG\.md|libs\/.*\/migrations\/)/;
const TEXT = /\.(ts|tsx|js|css|sql|md|ya?ml|json|sh|go|py|svg)$|(^|\/)(Dockerfile|\.env\.example)$/;

const given = process.argv.slice(2);
const all =
  given.length > 0
    ? given
    : execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { encoding: 'utf8' }).split('\n');
const files = all.filter(
  (file) => TEXT.test(file) && file !== 'package-lock.json' && !EXEMPT.test(file) && existsSync(file),
);

const problems = files.flatMap((file) =>
  [file, ...readFileSync(file, 'utf8').split('\n')].flatMap((line, number) =>
    REPLACED.flatMap(([word, instead]) => {
      const found = word.exec(line)?.[0];
      return found ? [`${file}:${number || 'its name'}: "${found}": use ${instead}`] : [];
    }),
  ),
);
if (problems.length > 0) {
  console.error(
    [...problems, `${problems.length} replaced words: docs/glossary.md has those in use`].join('\n'),
  );
  process.exitCode = 1;
}
