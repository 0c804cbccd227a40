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

function parseRequirements(tokens: readonly string[]): readonly Requirement[] {
  const parser = new RequirementParser(tokens);
  return parser.requirements();
}

class RequirementParser {
  readonly #tokens: readonly string[];
  #position = 0;

  constructor(tokens: readonly string[]) {
    this.#tokens = tokens;
  }

  requirements(): readonly Requirement[] {
    const found: Requirement[] = [];
    while (this.#position < this.#tokens.length) {
      found.push(this.#requirement());
      if (this.#position >= this.#tokens.length) break;
      if (this.#peek() !== ',') throw badRequest(`found '${this.#peek()}', expected: ',' or 'end of string'`);
      this.#position += 1;
      if (this.#position >= this.#tokens.length) throw badRequest("found '', expected: identifier after ','");
    }
    return found;
  }

  #requirement(): Requirement {
    if (this.#peek() === '!') {
      this.#position += 1;
      return { key: this.#word(), operator: '!', values: [] };
    }
    const key = this.#word();
    const operator = this.#peek();
    if (operator === '' || operator === ',') return { key, operator: 'exists', values: [] };
    if (operator === 'in' || operator === 'notin') {
      this.#position += 1;
      return { key, operator, values: this.#valueList() };
    }
    if (operator !== '=' && operator !== '==' && operator !== '!=') return this.#fail('in, notin, =, ==, !=, gt, lt');
    this.#position += 1;
    const value = this.#peek() === '' || this.#peek() === ',' ? '' : this.#word();
    return { key, operator: operator === '!=' ? 'notin' : 'in', values: [value] };
  }

  #valueList(): readonly string[] {
    if (this.#peek() !== '(') this.#fail("'('");
    const values: string[] = [];
    do {
      this.#position += 1;
      values.push(this.#peek() === ',' || this.#peek() === ')' ? '' : this.#word());
    } while (this.#peek() === ',');
    if (this.#peek() !== ')') this.#fail("',', ')' or identifier");
    this.#position += 1;
    return values;
  }

  #word(): string {
    const token = this.#peek();
    if (token === '' || symbols.has(token)) this.#fail('identifier');
    this.#position += 1;
    return token;
  }

  #peek(): string {
    return this.#tokens[this.#position] ?? '';
  }

  #fail(expected: string): never {
    throw badRequest(`unable to parse requirement: found '${this.#peek()}', expected: ${expected}`);
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
