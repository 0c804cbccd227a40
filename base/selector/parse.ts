/**
 * Text to selector, after Calico's grammar (libcalico-go/lib/selector):
 *
 *     or  := and ('||' and)*
 *     and := op ('&&' op)*
 *     op  := '!'* ( label ('==' | '!=' | 'contains' | 'starts with' | 'ends with') string
 *                 | label ('in' | 'not in') '{' string (',' string)* '}'
 *                 | 'has(' label ')' | 'all()' | 'global()' | '(' or ')' )
 *
 * Empty text is all(). Strings are '…' or "…" without escapes; a label is 1 to 512 of letters, digits and . _ / - and may
 * be spelt like an operator. As there, a set may be empty or end in a comma; unlike there, line breaks are white space,
 * since a selector in a YAML block has them. One pass without backtracking, nesting at most 100.
 */

import { LABEL_TEST_TEXT, type LabelTest, type Selector } from './selector.ts';

const MAX_DEPTH = 100;
const MAX_LABEL_LENGTH = 512;
const QUOTE_LIMIT = 64;

/** A text that is no selector; `position` counts UTF-16 units from 0. */
export class SelectorError extends Error {
  readonly code = 'SELECTOR_SYNTAX';
  readonly text: string;
  readonly position: number;

  constructor(text: string, position: number, reason: string) {
    const shown = JSON.stringify(text.length > QUOTE_LIMIT ? `${text.slice(0, QUOTE_LIMIT)}…` : text);
    super(`selector ${shown}: ${reason} at position ${position}`);
    this.name = 'SelectorError';
    this.text = text;
    this.position = position;
  }
}

interface Cursor {
  readonly text: string;
  at: number;
  depth: number;
}

/** Reads a selector. Throws SelectorError. Linear time, whatever the text. */
export function parseSelector(text: string): Selector {
  const cursor: Cursor = { text, at: 0, depth: 0 };
  skipSpace(cursor);
  if (cursor.at === text.length) return { kind: 'all' };
  const selector = parseOr(cursor);
  if (cursor.at < text.length) throw fault(cursor, 'expected "&&", "||" or the end');
  return selector;
}

function parseOr(cursor: Cursor): Selector {
  const first = parseAnd(cursor);
  const terms = [first];
  while (accept(cursor, '||')) terms.push(parseAnd(cursor));
  return terms.length === 1 ? first : { kind: 'or', terms };
}

function parseAnd(cursor: Cursor): Selector {
  const first = parseOperation(cursor);
  const terms = [first];
  while (accept(cursor, '&&')) terms.push(parseOperation(cursor));
  return terms.length === 1 ? first : { kind: 'and', terms };
}

function parseOperation(cursor: Cursor): Selector {
  let negated = false;
  while (accept(cursor, '!')) negated = !negated;
  const term = parseTerm(cursor);
  if (!negated) return term;
  return term.kind === 'not' ? term.term : { kind: 'not', term };
}

function parseTerm(cursor: Cursor): Selector {
  if (accept(cursor, '(')) return parseGroup(cursor);
  if (accept(cursor, 'has(')) {
    const label = parseLabel(cursor, 'a label name');
    expect(cursor, ')');
    return { kind: 'has', label };
  }
  for (const kind of ['all', 'global'] as const) {
    if (!accept(cursor, `${kind}(`)) continue;
    expect(cursor, ')');
    return { kind };
  }
  return parseTest(cursor, parseLabel(cursor, 'a label, has(), all(), "!" or "("'));
}

function parseGroup(cursor: Cursor): Selector {
  if (++cursor.depth > MAX_DEPTH) throw fault(cursor, `nesting deeper than ${MAX_DEPTH}`);
  const inner = parseOr(cursor);
  cursor.depth--;
  expect(cursor, ')');
  return inner;
}

const WORD_TESTS: readonly { readonly words: readonly string[]; readonly kind: LabelTest | 'in' | 'not-in' }[] = [
  { words: ['=='], kind: 'equal' },
  { words: ['!='], kind: 'not-equal' },
  { words: ['contains'], kind: 'contains' },
  { words: ['starts', 'with'], kind: 'starts-with' },
  { words: ['ends', 'with'], kind: 'ends-with' },
  { words: ['not', 'in'], kind: 'not-in' },
  { words: ['in'], kind: 'in' },
];

function parseTest(cursor: Cursor, label: string): Selector {
  const from = cursor.at;
  for (const { words, kind } of WORD_TESTS) {
    cursor.at = from;
    if (!words.every((word) => accept(cursor, word))) continue;
    if (kind === 'in' || kind === 'not-in') return { kind, label, values: parseSet(cursor) };
    return { kind, label, value: parseString(cursor) };
  }
  cursor.at = from;
  const tests = Object.values(LABEL_TEST_TEXT).join(', ');
  throw fault(cursor, `expected an operator (${tests}, in, not in) after label ${JSON.stringify(label)}`);
}

function parseSet(cursor: Cursor): ReadonlySet<string> {
  const values = new Set<string>();
  expect(cursor, '{');
  while (!accept(cursor, '}')) {
    values.add(parseString(cursor));
    if (accept(cursor, ',')) continue;
    expect(cursor, '}');
    break;
  }
  return values;
}

function parseString(cursor: Cursor): string {
  const quote = cursor.text.charAt(cursor.at);
  if (quote !== '"' && quote !== "'") throw fault(cursor, 'expected a quoted string');
  const end = cursor.text.indexOf(quote, cursor.at + 1);
  if (end < 0) throw fault(cursor, 'expected the string to be closed');
  const value = cursor.text.slice(cursor.at + 1, end);
  cursor.at = end + 1;
  skipSpace(cursor);
  return value;
}

function parseLabel(cursor: Cursor, expected: string): string {
  const from = cursor.at;
  while (isLabelCode(cursor.text.charCodeAt(cursor.at))) cursor.at++;
  const label = cursor.text.slice(from, cursor.at);
  if (label === '' || label.length > MAX_LABEL_LENGTH) {
    cursor.at = from;
    throw fault(cursor, label === '' ? `expected ${expected}` : `label is longer than ${MAX_LABEL_LENGTH} characters`);
  }
  skipSpace(cursor);
  return label;
}

/** Letters, digits and `-./_`; NaN (the end of the text) is none. */
function isLabelCode(code: number): boolean {
  const letter = code | 32;
  return (letter >= 97 && letter <= 122 && code >= 65) || (code >= 45 && code <= 57) || code === 95;
}

/** Takes the token and the space after it, if it comes next. */
function accept(cursor: Cursor, token: string): boolean {
  if (!cursor.text.startsWith(token, cursor.at)) return false;
  cursor.at += token.length;
  skipSpace(cursor);
  return true;
}

function expect(cursor: Cursor, token: string): void {
  if (!accept(cursor, token)) throw fault(cursor, `expected ${JSON.stringify(token)}`);
}

function skipSpace(cursor: Cursor): void {
  for (; cursor.at < cursor.text.length; cursor.at++) {
    const code = cursor.text.charCodeAt(cursor.at);
    if (code !== 32 && code !== 9 && code !== 10 && code !== 13) return;
  }
}

function fault(cursor: Cursor, reason: string): SelectorError {
  const at = cursor.at === cursor.text.length ? `${reason}, found the end` : reason;
  return new SelectorError(cursor.text, cursor.at, at);
}
