/**
 * Label and field selectors of list and watch (Kubernetes "Labels and Selectors"; k8s.io/apimachinery labels/fields).
 * Pure. Messages of refusals are the ones kubectl shows. Not the Calico selector language: that is #selector.
 */
import { isJsonObject, type JsonObject, plainText } from './objects.ts';
import { badRequest } from './status-objects.ts';

export type Matcher = (object: JsonObject) => boolean;

interface Requirement {
  readonly key: string;
  readonly operator: 'in' | 'notin' | 'exists' | '!';
  readonly values: readonly string[];
}

/** A predicate for a labelSelector parameter; undefined for an absent or empty one. Throws 400. */
export function labelMatcher(text: string | undefined): Matcher | undefined {
  if (text === undefined || text.trim() === '') return undefined;
  const requirements = parseRequirements(tokenize(text));
  return (object) => {
    const metadata = object['metadata'];
    const labels = isJsonObject(metadata) && isJsonObject(metadata['labels']) ? metadata['labels'] : {};
    return requirements.every((requirement) => holds(requirement, labels));
  };
}

function holds(requirement: Requirement, labels: JsonObject): boolean {
  const value = Object.hasOwn(labels, requirement.key) ? labels[requirement.key] : undefined;
  switch (requirement.operator) {
    case 'exists':
      return value !== undefined;
    case '!':
      return value === undefined;
    case 'in':
      return typeof value === 'string' && requirement.values.includes(value);
    case 'notin':
      return typeof value !== 'string' || !requirement.values.includes(value);
  }
}

/** Symbols and words; the words `in` and `notin` are told apart by their place. */
function tokenize(text: string): string[] {
  return text.match(/==|!=|[=!,()<>]|[^\s=!,()<>]+/g) ?? [];
}

const symbols = new Set(['=', '==', '!=', '!', ',', '(', ')', '<', '>']);

function parseRequirements(tokens: string[]): readonly Requirement[] {
  const requirements: Requirement[] = [];
  let position = 0;
  const peek = (): string => tokens[position] ?? '';
  const fail = (expected: string, between = false): never => {
    const prefix = between ? '' : 'unable to parse requirement: ';
    throw badRequest(`${prefix}found '${peek()}', expected: ${expected}`);
  };
  const word = (): string => {
    const token = peek();
    if (token === '' || symbols.has(token)) fail('identifier');
    position += 1;
    return token;
  };
  const valueList = (): string[] => {
    if (peek() !== '(') fail("'('");
    position += 1;
    const values: string[] = [];
    for (;;) {
      values.push(peek() === ',' || peek() === ')' ? '' : word());
      if (peek() === ')') break;
      if (peek() !== ',') fail("',', ')' or identifier");
      position += 1;
    }
    position += 1;
    return values;
  };
  while (position < tokens.length) {
    requirements.push(requirement());
    if (position >= tokens.length) break;
    if (peek() !== ',') fail("',' or 'end of string'", true);
    position += 1;
    if (position >= tokens.length) fail("identifier after ','", true);
  }
  return requirements;

  function requirement(): Requirement {
    if (peek() === '!') {
      position += 1;
      return { key: word(), operator: '!', values: [] };
    }
    const key = word();
    const operator = peek();
    if (operator === '' || operator === ',') return { key, operator: 'exists', values: [] };
    position += 1;
    if (operator === 'in' || operator === 'notin') return { key, operator, values: valueList() };
    if (operator === '=' || operator === '==' || operator === '!=') {
      const value = peek() === '' || peek() === ',' ? '' : word();
      return { key, operator: operator === '!=' ? 'notin' : 'in', values: [value] };
    }
    position -= 1;
    return fail('in, notin, =, ==, !=, gt, lt');
  }
}

/** What a field selector of a resource may name, beside metadata.name. */
export interface FieldRules {
  readonly namespaced: boolean;
  readonly selectableFields: readonly string[];
}

/** A predicate for a fieldSelector parameter; undefined for an absent or empty one. Throws 400. */
export function fieldMatcher(text: string | undefined, rules: FieldRules): Matcher | undefined {
  if (text === undefined || text === '') return undefined;
  const terms = text.split(',').map((term) => parseTerm(term));
  for (const { field } of terms) {
    const isKnown =
      field === 'metadata.name' ||
      (field === 'metadata.namespace' && rules.namespaced) ||
      rules.selectableFields.includes(field);
    if (!isKnown) throw badRequest(`field label not supported: ${field}`);
  }
  return (object) => terms.every((term) => (fieldText(object, term.field) === term.value) !== term.negated);
}

/** The value a fieldSelector pins metadata.name to, when it does. */
export function pinnedName(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const term = text.split(',').map((part) => /^metadata\.name==?(.*)$/.exec(part));
  return term.find((match) => match !== null)?.[1];
}

function parseTerm(term: string): { readonly field: string; readonly negated: boolean; readonly value: string } {
  const match = /^([^=!]+)(!=|==|=)(.*)$/.exec(term);
  if (match === null) throw badRequest(`invalid selector: '${term}'; can't understand '${term}'`);
  const value = (match[3] ?? '').replaceAll(/\\([\\,=])/g, '$1');
  return { field: match[1] ?? '', negated: match[2] === '!=', value };
}

/** A selectable field as text; absent is the empty text, as in Kubernetes. */
function fieldText(object: JsonObject, path: string): string {
  let value: unknown = object;
  for (const part of path.split('.'))
    value = isJsonObject(value) && Object.hasOwn(value, part) ? value[part] : undefined;
  if (value === undefined || value === null || typeof value === 'object') return '';
  return plainText(value);
}
