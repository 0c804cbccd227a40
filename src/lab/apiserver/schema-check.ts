/**
 * Validation of an object against its schema, answered as the causes a Kubernetes API server gives. JSON Schema itself
 * is ajv's work and CEL is the work of the CEL library behind `createCelValidator`; this file turns a structural schema
 * into JSON Schema and ajv's findings into Kubernetes' words. Invariant: schemas and rules are compiled when the kind is
 * registered; one that cannot be compiled refuses the start, it is never skipped.
 */
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import addFormats from 'ajv-formats';
import { type CelValidator, type CelViolation, createCelValidator } from '#kube';
import { arrayField, isJsonObject, type Json, type JsonObject } from './objects.ts';
import { findDuplicates, type StructuralSchema } from './schema-walk.ts';
import type { StatusCause } from './status-objects.ts';

/** Errors of these reasons keep CEL rules from running; range, pattern and duplicate errors do not. */
const blockingReasons = new Set([
  'FieldValueTypeInvalid',
  'FieldValueNotSupported',
  'FieldValueRequired',
  'FieldValueTooLong',
  'FieldValueTooMany',
]);

/** True when CEL must not be asked about an object with these errors. */
export function blocksRules(causes: readonly StatusCause[]): boolean {
  return causes.some((cause) => blockingReasons.has(cause.reason));
}

/** Added when a structural error kept CEL from running. */
export const uncheckedCause: StatusCause = {
  reason: 'FieldValueInvalid',
  message:
    'Invalid value: null: some validation rules were not checked because the object was invalid; ' +
    'correct the existing errors to complete validation',
  field: '<nil>',
};

export class SchemaValidator {
  readonly #schema: StructuralSchema;
  readonly #validate: ValidateFunction;
  readonly #rules: CelValidator;

  private constructor(parts: {
    readonly schema: StructuralSchema;
    readonly validate: ValidateFunction;
    readonly rules: CelValidator;
  }) {
    this.#schema = parts.schema;
    this.#validate = parts.validate;
    this.#rules = parts.rules;
  }

  /** Rejects with what ajv or the CEL compiler says about a schema or a rule that cannot be compiled. */
  static async compile(schema: StructuralSchema): Promise<SchemaValidator> {
    const validate = createAjv().compile(toJsonSchema(schema));
    return new SchemaValidator({ schema, validate, rules: await createCelValidator(schema) });
  }

  /** The x-kubernetes-validations rules that `value` breaks; `old` is the state before an update. */
  checkRules(value: JsonObject, old: JsonObject | undefined): readonly StatusCause[] {
    return this.#rules(value, old).map(ruleCause);
  }

  /** Schema errors of everything but metadata, in the order of the schema. */
  check(value: JsonObject): readonly StatusCause[] {
    const causes: StatusCause[] = [];
    if (!this.#validate(value)) {
      for (const error of this.#validate.errors ?? []) {
        causes.push(...causesOf(error));
      }
    }
    for (const duplicate of findDuplicates(value, this.#schema, '')) {
      const message = `Duplicate value: ${JSON.stringify(duplicate.value)}`;
      causes.push({ reason: 'FieldValueDuplicate', message, field: duplicate.field });
    }
    return causes;
  }
}

function createAjv(): Ajv {
  const ajv = new Ajv({ allErrors: true, verbose: true, strict: false, unicodeRegExp: false, allowUnionTypes: true });
  addFormats.default(ajv, { mode: 'full' });
  // Go durations and CIDRs are Kubernetes formats that JSON Schema does not have.
  ajv.addFormat('duration', /^[+-]?(0|(\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))+$/);
  ajv.addFormat('datetime', { validate: (text: string) => !Number.isNaN(Date.parse(text)) });
  ajv.addFormat('cidr', /^[0-9a-fA-F.:]+\/\d{1,3}$/);
  ajv.addFormat('mac', /^([0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}$/);
  for (const ignored of ['byte', 'password', 'int64', 'double', 'float', 'micro-time']) {
    if (ignored === 'micro-time') ajv.addFormat(ignored, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)$/);
    else ajv.addFormat(ignored, true);
  }
  return ajv;
}

/** A structural schema as JSON Schema: nullable and int-or-string become type lists; unknown fields are left alone. */
function toJsonSchema(schema: StructuralSchema): JsonObject {
  const result: Record<string, Json> = {};
  for (const [key, value] of Object.entries(schema)) {
    if (copiedKeywords.has(key)) result[key] = value;
    else if (key === 'properties' && isJsonObject(value)) result[key] = mapValues(value);
    else if (key === 'items' || key === 'not') result[key] = isJsonObject(value) ? toJsonSchema(value) : value;
    else if (key === 'additionalProperties') result[key] = isJsonObject(value) ? toJsonSchema(value) : value;
    else if (key === 'allOf' || key === 'anyOf' || key === 'oneOf') {
      result[key] = arrayField(schema, key).map((item) => (isJsonObject(item) ? toJsonSchema(item) : item));
    }
  }
  const type = typeOf(schema);
  if (type !== undefined) result['type'] = type;
  const allowed = schema['enum'];
  if (Array.isArray(allowed)) result['enum'] = schema['nullable'] === true ? [...allowed, null] : allowed;
  if (schema['exclusiveMinimum'] === true) exclusive(result, 'minimum', 'exclusiveMinimum');
  if (schema['exclusiveMaximum'] === true) exclusive(result, 'maximum', 'exclusiveMaximum');
  return result;
}

const copiedKeywords = new Set([
  'required',
  'minimum',
  'maximum',
  'multipleOf',
  'minLength',
  'maxLength',
  'pattern',
  'format',
  'minItems',
  'maxItems',
  'uniqueItems',
  'minProperties',
  'maxProperties',
]);

function mapValues(properties: JsonObject): JsonObject {
  const entries = Object.entries(properties).map(([key, value]) => [
    key,
    isJsonObject(value) ? toJsonSchema(value) : value,
  ]);
  return Object.fromEntries(entries);
}

function typeOf(schema: StructuralSchema): Json | undefined {
  const nullable = schema['nullable'] === true;
  if (schema['x-kubernetes-int-or-string'] === true)
    return nullable ? ['integer', 'string', 'null'] : ['integer', 'string'];
  const type = schema['type'];
  if (typeof type !== 'string') return undefined;
  return nullable ? [type, 'null'] : type;
}

function exclusive(result: Record<string, Json>, bound: string, keyword: string): void {
  const value = result[bound];
  delete result[bound];
  if (value !== undefined) result[keyword] = value;
}

/** Texts of keywords whose answer reads `FIELD in body TEXT`; `limit` is the keyword's value in the schema. */
const inBodyTexts: Readonly<Record<string, (limit: string) => string>> = {
  minimum: (limit) => `should be greater than or equal to ${limit}`,
  maximum: (limit) => `should be less than or equal to ${limit}`,
  exclusiveMinimum: (limit) => `should be greater than ${limit}`,
  exclusiveMaximum: (limit) => `should be less than ${limit}`,
  multipleOf: (limit) => `should be a multiple of ${limit}`,
  minLength: (limit) => `should be at least ${limit} chars long`,
  pattern: (limit) => `should match '${limit}'`,
  minItems: (limit) => `should have at least ${limit} items`,
  minProperties: (limit) => `should have at least ${limit} properties`,
  oneOf: () => 'must validate one and only one schema (oneOf)',
  anyOf: () => 'must validate at least one schema (anyOf)',
  allOf: () => 'must validate all the schemas (allOf)',
  not: () => 'must not validate the schema (not)',
};

/** Go tells apart what JSON does not: a fraction for an integer with a format is a float64 that is no int32. */
function causesOf(error: ErrorObject): readonly StatusCause[] {
  const format: unknown = error.parentSchema?.['format'];
  const isFraction = typeof error.data === 'number' && !Number.isInteger(error.data) && error.schema === 'integer';
  if (!isFraction || typeof format !== 'string')
    return error.keyword === 'format' && isIntegerFormat(error) ? [] : [causeOf(error)];
  const field = fieldPath(error.instancePath);
  const name = '"float64"';
  const checked = `Invalid value: "": Checked value must be of type integer with format ${format} in ${field}`;
  return [
    {
      reason: 'FieldValueTypeInvalid',
      message: `Invalid value: ${name}: ${field} in body must be of type ${format}: ${name}`,
      field,
    },
    { reason: 'FieldValueInvalid', message: checked, field: '<nil>' },
  ];
}

/** int32 of a fraction: already told as a wrong type. */
function isIntegerFormat(error: ErrorObject): boolean {
  return typeof error.data === 'number' && !Number.isInteger(error.data);
}

function causeOf(error: ErrorObject): StatusCause {
  const field = fieldPath(error.instancePath);
  const shown = JSON.stringify(error.data);
  const parameters: Readonly<Record<string, unknown>> = error.params;
  const limit = String(error.schema);
  switch (error.keyword) {
    case 'required': {
      const missing = join(field, String(parameters['missingProperty']));
      return { reason: 'FieldValueRequired', message: 'Required value', field: missing };
    }
    case 'type':
      return typeCause(error, field);
    case 'format': {
      const message = `Invalid value: ${shown}: ${field} in body must be of type ${limit}: ${shown}`;
      return { reason: 'FieldValueTypeInvalid', message, field };
    }
    case 'enum': {
      const allowed = arrayField({ list: error.schema as Json }, 'list').filter((item) => item !== null);
      const list = allowed.map((item) => JSON.stringify(item)).join(', ');
      const message = `Unsupported value: ${shown}: supported values: ${list}`;
      return { reason: 'FieldValueNotSupported', message, field };
    }
    case 'maxLength':
      return { reason: 'FieldValueTooLong', message: `Too long: may not be more than ${limit} bytes`, field };
    case 'maxItems':
    case 'maxProperties': {
      const count = sizeOf(error.data);
      return { reason: 'FieldValueTooMany', message: `Too many: ${count}: must have at most ${limit} items`, field };
    }
    default: {
      const text = inBodyTexts[error.keyword]?.(limit) ?? error.message ?? `must satisfy ${error.keyword}`;
      const value =
        error.keyword.endsWith('Items') || error.keyword.endsWith('Properties') ? sizeOf(error.data) : shown;
      return { reason: 'FieldValueInvalid', message: `Invalid value: ${value}: ${field} in body ${text}`, field };
    }
  }
}

function sizeOf(value: unknown): number {
  if (Array.isArray(value)) return value.length;
  return isJsonObject(value) ? Object.keys(value).length : 0;
}

/** A wrong type is reported with the *name* of the type found in place of the value. */
function typeCause(error: ErrorObject, field: string): StatusCause {
  const expected: unknown = error.schema;
  const list = Array.isArray(expected) ? expected.filter((type) => type !== 'null').join(',') : String(expected);
  const name = JSON.stringify(jsonTypeName(error.data));
  const message = `Invalid value: ${name}: ${field} in body must be of type ${list}: ${name}`;
  return { reason: 'FieldValueTypeInvalid', message, field };
}

function jsonTypeName(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

/** `/spec/allowedUses/1` → `spec.allowedUses[1]`. */
function fieldPath(pointer: string): string {
  let path = '';
  for (const part of pointer.split('/').slice(1)) {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
    path = /^\d+$/.test(name) ? `${path}[${name}]` : join(path, name);
  }
  return path;
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}

/** Scalars are shown in front of the message, objects and lists are not; Forbidden never shows a value. */
function ruleCause(violation: CelViolation): StatusCause {
  const { reason, field } = violation;
  const isScalar = violation.value !== undefined && (typeof violation.value !== 'object' || violation.value === null);
  const shown = isScalar ? `${JSON.stringify(violation.value)}: ` : '';
  if (reason === 'FieldValueForbidden') return { reason, field, message: `Forbidden: ${violation.message}` };
  if (reason === 'FieldValueRequired') return { reason, field, message: `Required value: ${violation.message}` };
  if (reason === 'FieldValueDuplicate')
    return { reason, field, message: `Duplicate value: ${shown}${violation.message}` };
  return { reason, field, message: `Invalid value: ${shown}${violation.message}` };
}
