/**
 * Create and update: the rules of POST, PUT and PATCH on objects and their status. Every function reads and writes the
 * store in one turn of the event loop, so compare-and-swap needs no lock. Invariants: resourceVersion is checked before
 * anything is replaced; a write that changes nothing stores nothing and makes no event; only the status subresource
 * changes status, and only the main path changes the rest.
 */
import { judge, metadataWarnings, type WriteOptions } from './admission.ts';
import {
  allowsCreateOnUpdate,
  allowsUnconditionalUpdate,
  completeNew,
  completeSecret,
  tracksGeneration,
} from './builtins.ts';
import { type Engine, lookUp, type Target } from './engine.ts';
import {
  asJson,
  formatTime,
  jsonEqual,
  type KubeObject,
  objectKey,
  type ObjectMeta,
  withMetadata,
  without,
} from './objects.ts';
import { type Resource, storageName } from './registry.ts';
import {
  alreadyExists,
  badRequest,
  conflict,
  forbidden,
  internalError,
  invalid,
  notFound,
  staleMessage,
} from './status-objects.ts';
import type { Stored } from './store.ts';

export interface Written {
  readonly object: KubeObject;
  readonly created: boolean;
  readonly warnings: readonly string[];
}

/** POST of a shaped object; throws 409, 422, 403 and what admission throws. */
export async function createObject(
  engine: Engine,
  target: Target,
  request: { readonly object: KubeObject; readonly options: WriteOptions },
): Promise<Written> {
  const { resource } = target;
  const namespace = resource.namespaced ? namespaceOf(target, request.object) : undefined;
  const { resourceVersion } = request.object.metadata;
  if (resourceVersion !== undefined && resourceVersion !== '0') {
    throw internalError('resourceVersion should not be set on objects to be created');
  }
  const named = nameNew(engine, { resource, object: request.object, namespace });
  const object = completeNew(resource, resource.hasStatus ? without(named, 'status') : completeSecret(named));
  judge(resource, { next: object });
  if (namespace !== undefined) checkNamespace(engine, target.resource, object.metadata);
  const key = objectKey(namespace, object.metadata.name);
  if (engine.store.get(storageName(resource), key) !== undefined) throw alreadyExists(resource, object.metadata.name);
  const warnings = metadataWarnings(object);
  if (request.options.dryRun) return { object, created: true, warnings };
  const stored = await engine.store.put(storageName(resource), key, object);
  return { object: stored.object, created: true, warnings };
}

function namespaceOf(target: Target, object: KubeObject): string {
  const own = object.metadata.namespace ?? '';
  const asked = target.namespace ?? '';
  if (own !== '' && own !== asked) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
  return asked;
}

const suffixLetters = 'bcdfghjklmnpqrstvwxz2456789';

/** The server's own metadata of a new object; whatever the client sent for these fields is ignored. */
function nameNew(
  engine: Engine,
  request: { readonly resource: Resource; readonly object: KubeObject; readonly namespace: string | undefined },
): KubeObject {
  const { object, namespace } = request;
  const { generateName } = object.metadata;
  let { name } = object.metadata;
  if (name === '' && generateName !== undefined) {
    const pick = (): string => suffixLetters[Math.floor(engine.random() * suffixLetters.length)] ?? 'x';
    name = `${generateName}${Array.from({ length: 5 }, pick).join('')}`;
  }
  return withMetadata(object, {
    name,
    namespace,
    uid: engine.uuid(),
    resourceVersion: undefined,
    generation: tracksGeneration(request.resource) ? 1 : undefined,
    creationTimestamp: formatTime(engine.now()),
    deletionTimestamp: undefined,
    deletionGracePeriodSeconds: undefined,
  });
}

/** 404 for a namespace that is not there, 403 for one that is going. */
function checkNamespace(engine: Engine, resource: Resource, metadata: ObjectMeta): void {
  const { name, namespace = '' } = metadata;
  const namespaces = { group: '', plural: 'namespaces', kind: 'Namespace' };
  const found = engine.store.get(storageName(namespaces), namespace);
  if (found === undefined) throw notFound(namespaces, namespace);
  if (found.object.metadata.deletionTimestamp !== undefined) {
    const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
    throw forbidden(resource, name, why);
  }
}

export interface UpdateRequest {
  readonly object: KubeObject;
  /** A patch carries the resourceVersion of the object it was applied to unless it changes it itself. */
  readonly form: 'put' | 'patch';
  readonly options: WriteOptions;
}

/** PUT or PATCH of a shaped object; throws 404, 409, 422, 500. */
export async function updateObject(engine: Engine, target: Target, request: UpdateRequest): Promise<Written> {
  const { resource } = target;
  const current = lookUp(engine, target);
  if (current === undefined) {
    if (!allowsCreateOnUpdate(resource) || request.form === 'patch') throw notFound(resource, target.name ?? '');
    return await createObject(engine, target, {
      ...request,
      object: withMetadata(request.object, { resourceVersion: '0' }),
    });
  }
  checkVersion(resource, current, request);
  const next = merge(target, current.object, request.object);
  judge(resource, { next, previous: current.object, subresource: target.subresource });
  const warnings = request.object.metadata.finalizers === undefined ? [] : metadataWarnings(next);
  if (jsonEqual(next, current.object)) return { object: current.object, created: false, warnings };
  const counted = countGeneration(resource, current.object, next);
  if (request.options.dryRun) return { object: counted, created: false, warnings };
  const object = await store(engine, { resource, current, next: counted });
  return { object, created: false, warnings };
}

/** Stores an update; the one that takes the last finalizer off a dying object removes it. */
async function store(
  engine: Engine,
  write: { readonly resource: Resource; readonly current: Stored; readonly next: KubeObject },
): Promise<KubeObject> {
  const { resource, current, next } = write;
  if (isFinished(next)) {
    // Watchers see the last state with its finalizer; the caller gets the object without, at its old revision.
    await engine.store.remove(storageName(resource), current.key, current.object);
    return next;
  }
  const stored = await engine.store.put(storageName(resource), current.key, next);
  return stored.object;
}

function isFinished(object: KubeObject): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds, finalizers } = object.metadata;
  return deletionTimestamp !== undefined && deletionGracePeriodSeconds === 0 && (finalizers ?? []).length === 0;
}

function checkVersion(resource: Resource, current: Stored, request: UpdateRequest): void {
  const { name, resourceVersion = '', uid } = request.object.metadata;
  const isUnset = resourceVersion === '' || resourceVersion === '0';
  if (isUnset && request.form === 'put' && !allowsUnconditionalUpdate(resource)) {
    const message = 'Invalid value: 0: must be specified for an update';
    throw invalid({ kind: resource.plural, group: resource.group, name }, [
      { reason: 'FieldValueInvalid', message, field: 'metadata.resourceVersion' },
    ]);
  }
  if (!isUnset && !/^\d+$/.test(resourceVersion)) {
    throw internalError(`strconv.ParseUint: parsing ${JSON.stringify(resourceVersion)}: invalid syntax`);
  }
  if (request.form === 'put' && uid !== undefined && uid !== current.object.metadata.uid) {
    const storagePath = `/registry/${resource.group === '' ? '' : `${resource.group}/`}${resource.plural}/${current.key}`;
    const why =
      `StorageError: invalid object, Code: 4, Key: ${storagePath}, ResourceVersion: 0, AdditionalErrorMsg: ` +
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${current.object.metadata.uid ?? ''}`;
    throw conflict(resource, name, { why });
  }
  if (!isUnset && resourceVersion !== current.object.metadata.resourceVersion) {
    throw conflict(resource, name, { why: staleMessage });
  }
}

/** What a write may touch: status alone on /status, everything else on the main path. */
function merge(target: Target, current: KubeObject, sent: KubeObject): KubeObject {
  const { resource } = target;
  const { status: currentStatus, ...currentRest } = current;
  const kept = current.metadata;
  if (target.subresource === 'status') {
    const base = { ...currentRest, apiVersion: sent.apiVersion, kind: sent.kind, metadata: kept };
    return sent['status'] === undefined ? base : { ...base, status: sent['status'] };
  }
  const object = withMetadata(completeSecret(sent), {
    name: kept.name,
    namespace: kept.namespace,
    uid: sent.metadata.uid ?? kept.uid,
    resourceVersion: kept.resourceVersion,
    generation: kept.generation,
    creationTimestamp: kept.creationTimestamp,
    deletionTimestamp: sent.metadata.deletionTimestamp ?? kept.deletionTimestamp,
    deletionGracePeriodSeconds: sent.metadata.deletionGracePeriodSeconds ?? kept.deletionGracePeriodSeconds,
    generateName: kept.generateName,
  });
  if (!resource.hasStatus) return object;
  const rest = without(object, 'status');
  return currentStatus === undefined ? rest : { ...rest, status: currentStatus };
}

/** generation counts changes of everything but metadata, and but status where status is a subresource. */
function countGeneration(resource: Resource, current: KubeObject, next: KubeObject): KubeObject {
  if (!tracksGeneration(resource)) return next;
  const content = (object: KubeObject): unknown => {
    const { metadata: _m, status, ...rest } = asJson(object);
    return resource.hasStatus ? rest : { ...rest, ...(status === undefined ? {} : { status }) };
  };
  if (jsonEqual(content(current), content(next))) return next;
  return withMetadata(next, { generation: (current.metadata.generation ?? 0) + 1 });
}
