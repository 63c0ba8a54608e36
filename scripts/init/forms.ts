/** A name in the ways in which code and documents write it. */
export interface Forms {
  /** `two-words`: packages, containers, databases, and whatever has no rules of its own. */
  kebab: string;
  /** `two_words`, in names of SQL. */
  snake: string;
  /** `TWO_WORDS`, in names of the environment. */
  constant: string;
  /** `twoWords` and `TwoWords`, in code. */
  camel: string;
  pascal: string;
  /** `Two Words`, for people. */
  title: string;
}

/** A name of `a-z 0-9 -` in all its forms. */
export function formsOf(kebab: string): Forms {
  const words = kebab.split('-');
  const capital = (word: string) => word.charAt(0).toUpperCase() + word.slice(1);
  const pascal = words.map(capital).join('');
  return {
    kebab,
    snake: words.join('_'),
    constant: words.join('_').toUpperCase(),
    camel: words[0] + words.slice(1).map(capital).join(''),
    pascal,
    title: words.map(capital).join(' '),
  };
}

/** Whether a text has a name in any of its forms. */
export function occurs({ kebab }: Forms, text: string): boolean {
  return new RegExp(kebab.replaceAll('-', '[-_ ]?'), 'i').test(text);
}

/**
 * Puts one name in the place of another. A name of one word looks the same in some of its forms: then what stands
 * beside it says which it is.
 */
export function renamer(from: Forms, to: Forms): (text: string) => string {
  const rules: [RegExp, string][] = [
    [new RegExp(from.constant, 'g'), to.constant],
    [new RegExp(`${from.snake}(?=_)|(?<=_)${from.snake}`, 'g'), to.snake],
    [new RegExp(`${from.camel}(?=[A-Z])`, 'g'), to.camel],
    [new RegExp(`(?<=[a-z])${from.pascal}|${from.pascal}(?=[A-Z])`, 'g'), to.pascal],
    [new RegExp(from.title, 'g'), to.title],
    [new RegExp(from.kebab, 'g'), to.kebab],
    // What is left of a name of several words.
    [new RegExp(from.snake, 'g'), to.snake],
    [new RegExp(from.camel, 'g'), to.camel],
    [new RegExp(from.pascal, 'g'), to.pascal],
  ];
  return (text) => rules.reduce((text, [pattern, form]) => text.replace(pattern, form), text);
}
