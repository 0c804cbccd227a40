/**
 * The words of a Kubernetes object: JSON values, ObjectMeta, and the few pure operations the server needs on them
 * (compare, serialise with sorted keys as a real API server does for custom resources, read a path). Invariant: an
 * object that is stored is never mutated again; every change makes a new one.
 */

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

/** ObjectMeta as the server keeps it; `managedFields` and `selfLink` are never kept. */
export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly generateName?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly deletionGracePeriodSeconds?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly finalizers?: readonly string[];
  readonly ownerReferences?: readonly JsonObject[];
}

/** A whole object: apiVersion, kind, metadata and whatever else the kind has. */
export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
  readonly [field: string]: unknown;
}

/** True for a JSON object, false for arrays, null and scalars. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The border between bytes and `KubeObject`: callers have checked metadata with metadata.ts. */
export function asKubeObject(value: JsonObject): KubeObject {
  return value as unknown as KubeObject;
}

/** The other way: a stored object seen as plain JSON. */
export function asJson(object: KubeObject): JsonObject {
  return object as unknown as JsonObject;
}

/** Metadata seen as plain JSON. */
export function asJsonMetadata(metadata: ObjectMeta): JsonObject {
  return metadata as unknown as JsonObject;
}

/** The string field `key`, or undefined when it is absent or not a string. */
export function textField(object: JsonObject | undefined, key: string): string | undefined {
  const value = object?.[key];
  return typeof value === 'string' ? value : undefined;
}

/** The object field `key`, or undefined when it is absent or not an object. */
export function objectField(object: JsonObject | undefined, key: string): JsonObject | undefined {
  const value = object?.[key];
  return isJsonObject(value) ? value : undefined;
}

/** The array field `key`, or an empty array. */
export function arrayField(object: JsonObject | undefined, key: string): readonly Json[] {
  const value = object?.[key];
  return Array.isArray(value) ? value : [];
}

/** A scalar as plain text; objects and lists as JSON. */
export function plainText(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}

/** Deep equality of two JSON values; key order does not count. */
export function jsonEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false;
    return a.every((item, index) => jsonEqual(item, b[index]));
  }
  if (!isJsonObject(a) || !isJsonObject(b)) return false;
  const keys = definedKeys(a);
  if (keys.length !== definedKeys(b).length) return false;
  return keys.every((key) => Object.hasOwn(b, key) && jsonEqual(a[key], b[key]));
}

function definedKeys(object: JsonObject): string[] {
  return Object.keys(object).filter((key) => object[key] !== undefined);
}

/** JSON text with sorted keys, as the API server prints custom resources. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (!isJsonObject(value)) return JSON.stringify(value);
  const parts: string[] = [];
  for (const key of definedKeys(value).sort()) parts.push(`${JSON.stringify(key)}:${canonicalJson(value[key])}`);
  return `{${parts.join(',')}}`;
}

/** A copy of `object` with the metadata fields in `changes` replaced; an undefined value removes the field. */
export function withMetadata(
  object: KubeObject,
  changes: { readonly [Field in keyof ObjectMeta]?: ObjectMeta[Field] | undefined },
): KubeObject {
  const merged: Record<string, unknown> = { ...object.metadata, ...changes };
  for (const key of Object.keys(merged)) if (merged[key] === undefined) delete merged[key];
  return { ...object, metadata: merged as unknown as ObjectMeta };
}

/** A copy of `object` without the top-level field `key`. */
export function without(object: KubeObject, key: string): KubeObject {
  const { [key]: _, ...rest } = object;
  return rest as unknown as KubeObject;
}

/** The `namespace/name` key of an object inside its resource; cluster-scoped objects have only the name. */
export function objectKey(namespace: string | undefined, name: string): string {
  return namespace === undefined || namespace === '' ? name : `${namespace}/${name}`;
}

/** RFC 3339 with whole seconds, the form of metav1.Time. */
export function formatTime(epochMs: number): string {
  return `${new Date(epochMs).toISOString().slice(0, 19)}Z`;
}
