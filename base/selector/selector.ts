/**
 * A parsed label selector (the language of Calico's selectors) as data, and how it is matched and written. `&&` and `||`
 * hold all their terms in one list and a run of `!` is one node or none, so depth grows only with parentheses, which the
 * parser limits; matching is linear in the selector. Labels are looked up as own properties only: a pod may well have
 * no label `constructor`.
 */

export type Selector =
  | { readonly kind: 'all' }
  /** Of no meaning to labels (matches all); where a namespace selector stands, it picks what is in no namespace. */
  | { readonly kind: 'global' }
  | { readonly kind: 'has'; readonly label: string }
  | { readonly kind: LabelTest; readonly label: string; readonly value: string }
  | { readonly kind: 'in' | 'not-in'; readonly label: string; readonly values: ReadonlySet<string> }
  | { readonly kind: 'not'; readonly term: Selector }
  | { readonly kind: 'and' | 'or'; readonly terms: readonly Selector[] };

/** The tests of one label against one string. */
export type LabelTest = 'equal' | 'not-equal' | 'contains' | 'starts-with' | 'ends-with';

/** How each test is written. */
export const LABEL_TEST_TEXT: Readonly<Record<LabelTest, string>> = {
  equal: '==',
  'not-equal': '!=',
  contains: 'contains',
  'starts-with': 'starts with',
  'ends-with': 'ends with',
};

/** True when the labels satisfy the selector. `!=` and `not in` hold for an absent label, every other test fails. */
export function matches(selector: Selector, labels: Readonly<Record<string, string>>): boolean {
  switch (selector.kind) {
    case 'all':
    case 'global':
      return true;
    case 'has':
      return valueOf(labels, selector.label) !== undefined;
    case 'equal':
      return valueOf(labels, selector.label) === selector.value;
    case 'not-equal':
      return valueOf(labels, selector.label) !== selector.value;
    case 'contains':
      return valueOf(labels, selector.label)?.includes(selector.value) ?? false;
    case 'starts-with':
      return valueOf(labels, selector.label)?.startsWith(selector.value) ?? false;
    case 'ends-with':
      return valueOf(labels, selector.label)?.endsWith(selector.value) ?? false;
    case 'in':
      return isIn(selector.values, valueOf(labels, selector.label));
    case 'not-in':
      return !isIn(selector.values, valueOf(labels, selector.label));
    case 'not':
      return !matches(selector.term, labels);
    case 'and':
      return selector.terms.every((term) => matches(term, labels));
    case 'or':
      return selector.terms.some((term) => matches(term, labels));
  }
}

function valueOf(labels: Readonly<Record<string, string>>, label: string): string | undefined {
  return Object.hasOwn(labels, label) ? labels[label] : undefined;
}

function isIn(values: ReadonlySet<string>, value: string | undefined): boolean {
  return value !== undefined && values.has(value);
}

/** Canonical text that parses to the same selector: equal texts mean equal selectors, so it serves as a key. */
export function formatSelector(selector: Selector): string {
  switch (selector.kind) {
    case 'all':
      return 'all()';
    case 'global':
      return 'global()';
    case 'has':
      return `has(${selector.label})`;
    case 'in':
      return `${selector.label} in ${formatSet(selector.values)}`;
    case 'not-in':
      return `${selector.label} not in ${formatSet(selector.values)}`;
    case 'not':
      return `!${formatTerm(selector.term, 'not')}`;
    case 'and':
      return selector.terms.map((term) => formatTerm(term, 'and')).join(' && ');
    case 'or':
      return selector.terms.map((term) => formatTerm(term, 'or')).join(' || ');
    case 'equal':
    case 'not-equal':
    case 'contains':
    case 'starts-with':
    case 'ends-with':
      return `${selector.label} ${LABEL_TEST_TEXT[selector.kind]} ${formatString(selector.value)}`;
  }
}

/** Parentheses where the term binds less tightly than what it stands in. */
function formatTerm(term: Selector, within: 'not' | 'and' | 'or'): string {
  const text = formatSelector(term);
  if (term.kind === 'or') return `(${text})`;
  if (term.kind === 'and') return within === 'or' ? text : `(${text})`;
  return text;
}

function formatSet(values: ReadonlySet<string>): string {
  return `{${[...values].sort().map(formatString).join(', ')}}`;
}

/** The language has no escapes, and no string read from it holds both quotes. */
function formatString(value: string): string {
  return value.includes('"') ? `'${value}'` : `"${value}"`;
}
