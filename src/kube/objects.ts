/**
 * A Kubernetes object as it comes over the wire: metadata checked, the rest unknown until a file of kinds/ reads it.
 */
import { KubeError } from './errors.ts';

export interface KubeMetadata {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly [field: string]: unknown;
}

export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: KubeMetadata;
  readonly spec?: unknown;
  readonly status?: unknown;
}

export type JsonRecord = Readonly<Record<string, unknown>>;

export function isRecord(value: unknown): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** True when `value` has metadata with a name and whatever identity fields it has are strings. */
export function isKubeObject(value: unknown): value is KubeObject {
  if (!isRecord(value) || !isRecord(value['metadata'])) return false;
  const { name, namespace, uid, resourceVersion } = value['metadata'];
  const optional = [namespace, uid, resourceVersion].every((field) => field === undefined || typeof field === 'string');
  return typeof name === 'string' && name !== '' && optional;
}

/** Throws KubeError API_PROTOCOL when `value` is no object. `where` says which call answered it. */
export function asKubeObject(value: unknown, where: string): KubeObject {
  if (isKubeObject(value)) return value;
  throw new KubeError(`${where}: the answer is not a Kubernetes object`, { code: 'API_PROTOCOL' });
}

/** Key in tables: the name, or `namespace/name`. */
export function keyOf(object: KubeObject): string {
  const { name, namespace } = object.metadata;
  return namespace === undefined || namespace === '' ? name : `${namespace}/${name}`;
}
