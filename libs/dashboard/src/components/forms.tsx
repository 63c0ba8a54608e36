import type { ComponentChildren } from 'preact';
import { useContext } from 'preact/hooks';
import { Text } from './values.js';
import { useMayAct, Viewer } from './viewer.js';

type Fields = Record<string, string | undefined>;

/** Goes into every form that changes something. */
export const Token = () => <input type="hidden" name="csrf" value={useContext(Viewer)?.csrf} />;

/** What a form carries along; what is not given is left out. */
const hidden = (fields: Fields) =>
  Object.entries(fields).map(
    ([name, value]) => value !== undefined && <input type="hidden" name={name} value={value} />,
  );

interface ActionProps {
  to: string;
  label: string;
  kind?: 'danger' | 'primary';
  fields?: Fields;
  /** What it is done to, where several buttons on a page have the same label. */
  about?: string;
  /** What else it asks for. */
  children?: ComponentChildren;
}

/** A button that changes something; nothing for those who may not press it. */
export function ActionButton({ to, label, kind, fields = {}, about, children }: ActionProps) {
  if (!useMayAct()) return null;
  return (
    <form method="post" action={to}>
      <Token />
      {hidden(fields)}
      {children}
      <button type="submit" class={kind} aria-label={about && `${label} ${about}`}>
        {label}
      </button>
    </form>
  );
}

interface EditorProps {
  to: string;
  label: string;
  name: string;
  value: string;
  submit: string;
  fields?: Fields;
  /** What else is asked. */
  children?: ComponentChildren;
}

/**
 * A text of many lines that is sent; nothing for those who may change nothing. The script checks it while somebody types: it
 * puts what the answer has in `Checked` into the page.
 */
export function Editor({ to, label, name, value, submit, fields = {}, children }: EditorProps) {
  if (!useMayAct()) return null;
  return (
    <form method="post" action={to} class="editor">
      <Token />
      {hidden(fields)}
      {children}
      <label>
        {label}
        <textarea name={name} rows={12} spellcheck={false} autoComplete="off">
          {value}
        </textarea>
      </label>
      <button type="submit">{submit}</button>
    </form>
  );
}

interface FilterProps {
  to: string;
  /** What is kept of the filter beside the fields. */
  fields?: Fields;
  /** The same page without this filter, when there is one. */
  clear?: string;
  submit?: string;
  children: ComponentChildren;
}

/** Chooses what a page shows. */
export const Filters = ({ to, fields = {}, clear, submit = 'Filter', children }: FilterProps) => (
  <form class="actions" method="get" action={to}>
    {hidden(fields)}
    {children}
    <button type="submit">{submit}</button>
    {clear && <Text to={clear} of="Clear" />}
  </form>
);

interface FieldProps {
  label: string;
  name: string;
  value?: string;
  placeholder?: string;
  type?: 'datetime-local';
  /** What may be chosen, or something else. */
  suggestions?: readonly string[];
}

/** A text to filter by. */
export const Field = ({ label, suggestions, ...input }: FieldProps) => (
  <label>
    {label}
    <input list={suggestions && `${input.name}s`} autoComplete="off" spellcheck={false} {...input} />
    {suggestions && <Suggestions id={`${input.name}s`} of={suggestions} />}
  </label>
);

const Suggestions = ({ id, of }: { id: string; of: readonly string[] }) => (
  <datalist id={id}>
    {of.map((suggestion) => (
      <option value={suggestion} />
    ))}
  </datalist>
);
