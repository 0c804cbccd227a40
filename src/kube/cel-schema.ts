/**
 * A structural schema as CEL rules see it, and JSON as CEL values by that schema.
 *
 * Kubernetes types the variable `self` by the schema: integers are CEL ints (bigint here), numbers are doubles, and property
 * names that are no CEL identifiers are escaped. The invariant: a value converted here answers a rule as it would in a
 * kube-apiserver, or the schema is refused when the validator is made.
 */

/** One `x-kubernetes-validations` entry. */
export interface CelRule {
  readonly rule: string;
  readonly message?: string;
  readonly messageExpression?: string;
  readonly reason?: string;
  readonly fieldPath?: string;
  readonly optionalOldSelf?: boolean;
}

/** The parts of an OpenAPI v3 structural schema that matter to CEL; every other keyword is ignored. */
export interface CelSchema {
  readonly type?: string;
  readonly format?: string;
  readonly properties?: Readonly<Record<string, CelSchema>>;
  readonly additionalProperties?: CelSchema | boolean;
  readonly items?: CelSchema;
  readonly 'x-kubernetes-validations'?: readonly CelRule[];
  readonly 'x-kubernetes-list-type'?: string;
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean;
  readonly 'x-kubernetes-int-or-string'?: boolean;
}

/** A value @bufbuild/cel takes: what JSON becomes under a schema. */
export type CelData =
  | string
  | number
  | bigint
  | boolean
  | null
  | readonly CelData[]
  | { readonly [key: string]: CelData };

/** Formats to which Kubernetes gives a CEL type of its own; rules cannot reach them here. */
export const TYPED_FORMATS: ReadonlySet<string> = new Set(['date', 'date-time', 'duration', 'byte', 'binary']);

const METADATA: CelSchema = {
  type: 'object',
  properties: { name: { type: 'string' }, generateName: { type: 'string' } },
};

/** The schema of a whole object as rules at its root see it: metadata shows name and generateName only. */
export function rootSchema(schema: CelSchema): CelSchema {
  if (schema.type !== 'object') return schema;
  return {
    ...schema,
    properties: { ...schema.properties, apiVersion: { type: 'string' }, kind: { type: 'string' }, metadata: METADATA },
  };
}

/** JSON → CEL value under `schema`; fields the schema does not know are left out, as in a pruned object. */
export function toCel(value: unknown, schema: CelSchema | undefined): CelData {
  if (value === null || value === undefined) return null;
  if (typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') return schema?.type !== 'number' && Number.isInteger(value) ? BigInt(value) : value;
  if (Array.isArray(value)) return value.map((item) => toCel(item, schema?.items));
  if (!isRecord(value)) return null;
  const out: Record<string, CelData> = {};
  for (const [key, inner] of Object.entries(value)) {
    const property = own(schema?.properties, key);
    if (property !== undefined) out[escapeProperty(key)] = toCel(inner, property);
    else if (isSchema(schema?.additionalProperties)) out[key] = toCel(inner, schema.additionalProperties);
    else if (isOpen(schema)) out[key] = toCel(inner, undefined);
  }
  return out;
}

/** Whether an object of this schema may have fields the schema does not name. */
export function isOpen(schema: CelSchema | undefined): boolean {
  return (
    schema === undefined ||
    schema['x-kubernetes-preserve-unknown-fields'] === true ||
    schema.additionalProperties === true
  );
}

export function isSchema(value: CelSchema | boolean | undefined): value is CelSchema {
  return typeof value === 'object';
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Own-property look-up: a field named `constructor` must not find Object's. */
export function own<T>(record: Readonly<Record<string, T>> | undefined, key: string): T | undefined {
  return record !== undefined && Object.hasOwn(record, key) ? record[key] : undefined;
}

const RESERVED = new Set(
  'true false null in as break const continue else for function if import let loop package namespace return var void while'.split(
    ' ',
  ),
);

/** Property name → CEL identifier, by the escaping rules of the Kubernetes documentation on validation rules. */
export function escapeProperty(name: string): string {
  if (RESERVED.has(name)) return `__${name}__`;
  return name
    .replaceAll('__', '__underscores__')
    .replaceAll('.', '__dot__')
    .replaceAll('-', '__dash__')
    .replaceAll('/', '__slash__');
}
