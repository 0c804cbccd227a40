/**
 * What an API server does to an object before it validates it, by walking a structural schema: prune unknown fields,
 * drop nulls that are not allowed, fill in defaults (Kubernetes "structural schemas"; KEP-20190425). Pure. Invariant:
 * the input is never changed; running it again on its own output changes nothing.
 */
import { arrayField, isJsonObject, type Json, type JsonObject, objectField } from './objects.ts';

/** openAPIV3Schema of a CRD, read field by field. */
export type StructuralSchema = JsonObject;

export interface Walked {
  readonly value: Json;
  /** Paths of removed fields, e.g. `spec.blokSize`, as the warnings of fieldValidation name them. */
  readonly unknown: readonly string[];
}

/** Prunes and defaults the part of an object below `path`; `schema` describes `value`. */
export function pruneAndDefault(value: Json, schema: StructuralSchema, path = ''): Walked {
  const unknown: string[] = [];
  const walked = walk(value, schema, { path, unknown, keep: false });
  return { value: walked, unknown };
}

interface Place {
  readonly path: string;
  readonly unknown: string[];
  /** Inside x-kubernetes-preserve-unknown-fields. */
  readonly keep: boolean;
}

function walk(value: Json, schema: StructuralSchema, place: Place): Json {
  if (Array.isArray(value)) {
    const items = objectField(schema, 'items');
    if (items === undefined) return value;
    return value.map((item: Json, index) => walk(item, items, { ...place, path: `${place.path}[${index}]` }));
  }
  if (!isJsonObject(value)) return value;
  return walkObject(value, schema, place);
}

function walkObject(value: JsonObject, schema: StructuralSchema, place: Place): JsonObject {
  const properties = objectField(schema, 'properties') ?? {};
  const keep = schema['x-kubernetes-preserve-unknown-fields'] === true || (place.keep && isUndescribed(schema));
  const result: Record<string, Json> = {};
  for (const [key, field] of Object.entries(value)) {
    const path = place.path === '' ? key : `${place.path}.${key}`;
    const fieldSchema = Object.hasOwn(properties, key) ? objectField(properties, key) : additional(schema);
    if (fieldSchema === undefined) {
      if (keep) result[key] = field;
      else place.unknown.push(path);
      continue;
    }
    if (field === null && !allowsNull(fieldSchema)) continue;
    result[key] = walk(field, fieldSchema, { path, unknown: place.unknown, keep });
  }
  for (const [key, fieldSchema] of Object.entries(properties)) {
    if (Object.hasOwn(result, key) || !isJsonObject(fieldSchema) || fieldSchema['default'] === undefined) continue;
    const path = place.path === '' ? key : `${place.path}.${key}`;
    result[key] = walk(fieldSchema['default'], fieldSchema, { path, unknown: place.unknown, keep });
  }
  return result;
}

/** The schema of values under free keys, when the schema is a map. */
function additional(schema: StructuralSchema): StructuralSchema | undefined {
  const found = schema['additionalProperties'];
  if (found === true) return { 'x-kubernetes-preserve-unknown-fields': true };
  return isJsonObject(found) ? found : undefined;
}

function allowsNull(schema: StructuralSchema): boolean {
  if (schema['nullable'] === true) return true;
  return schema['x-kubernetes-preserve-unknown-fields'] === true && schema['type'] === undefined;
}

function isUndescribed(schema: StructuralSchema): boolean {
  return schema['properties'] === undefined && schema['additionalProperties'] === undefined;
}

/** The list rules of a schema that JSON Schema does not know: sets without duplicates, maps with unique keys. */
export function findDuplicates(value: Json, schema: StructuralSchema, path: string): readonly Duplicate[] {
  if (Array.isArray(value)) {
    const items = objectField(schema, 'items');
    const below =
      items === undefined ? [] : value.flatMap((item: Json, i) => findDuplicates(item, items, `${path}[${i}]`));
    return [...duplicatesOf(value, schema, path), ...below];
  }
  if (!isJsonObject(value)) return [];
  const properties = objectField(schema, 'properties') ?? {};
  return Object.entries(value).flatMap(([key, field]) => {
    const fieldSchema = Object.hasOwn(properties, key) ? objectField(properties, key) : additional(schema);
    return fieldSchema === undefined ? [] : findDuplicates(field, fieldSchema, path === '' ? key : `${path}.${key}`);
  });
}

export interface Duplicate {
  readonly field: string;
  readonly value: Json;
}

function duplicatesOf(list: readonly Json[], schema: StructuralSchema, path: string): readonly Duplicate[] {
  const kind = schema['x-kubernetes-list-type'];
  if (kind !== 'set' && kind !== 'map') return [];
  const keys = arrayField(schema, 'x-kubernetes-list-map-keys').map(String);
  const seen = new Set<string>();
  const found: Duplicate[] = [];
  for (const [index, item] of list.entries()) {
    const identity = kind === 'set' || !isJsonObject(item) ? item : pick(item, keys);
    const text = JSON.stringify(identity);
    if (seen.has(text)) found.push({ field: `${path}[${index}]`, value: identity });
    seen.add(text);
  }
  return found;
}

function pick(object: JsonObject, keys: readonly string[]): JsonObject {
  return Object.fromEntries(keys.flatMap((key) => (object[key] === undefined ? [] : [[key, object[key]]])));
}
