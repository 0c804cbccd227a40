/**
 * Delete: preconditions, propagation, finalizers, the grace period of Pods, and the emptying of namespaces. Invariant:
 * an object with finalizers is never removed, only marked; the write that takes the last one off removes it (write.ts).
 */
import { graceSeconds, tracksGeneration } from './builtins.ts';
import { decodeJson } from './body.ts';
import { type Engine, lookUp, type Target } from './engine.ts';
import {
  formatTime,
  isJsonObject,
  type JsonObject,
  type KubeObject,
  objectField,
  textField,
  withMetadata,
} from './objects.ts';
import { type Resource, storageName } from './registry.ts';
import {
  badRequest,
  conflict,
  forbidden,
  invalidOptions,
  notFound,
  type StatusCause,
  type StatusObject,
  successStatus,
} from './status-objects.ts';
import type { Stored } from './store.ts';

export interface DeleteOptions {
  readonly dryRun: boolean;
  readonly gracePeriodSeconds: number | undefined;
  readonly propagation: 'Foreground' | 'Background' | 'Orphan' | undefined;
  readonly uid: string | undefined;
  readonly resourceVersion: string | undefined;
}

/** Reads DeleteOptions from body and query; throws 400 for broken JSON and 422 for unknown values. */
export function readDeleteOptions(body: string, query: URLSearchParams): DeleteOptions {
  const parsed = body === '' ? {} : decodeJson(body, "couldn't get version/kind; json parse error");
  if (!isJsonObject(parsed)) throw badRequest('the body of a delete request must be DeleteOptions');
  const propagation = textField(parsed, 'propagationPolicy') ?? query.get('propagationPolicy') ?? undefined;
  const dryRun = [...listOf(parsed['dryRun']), ...query.getAll('dryRun')];
  checkOptions({ parsed, propagation, dryRun });
  const preconditions = objectField(parsed, 'preconditions');
  const grace = parsed['gracePeriodSeconds'] ?? query.get('gracePeriodSeconds') ?? undefined;
  return {
    dryRun: dryRun.length > 0,
    gracePeriodSeconds: grace === undefined || Number.isNaN(Number(grace)) ? undefined : Number(grace),
    propagation: propagation === 'Foreground' || propagation === 'Orphan' ? propagation : undefined,
    uid: textField(preconditions, 'uid'),
    resourceVersion: textField(preconditions, 'resourceVersion'),
  };
}

function listOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

function checkOptions(options: {
  readonly parsed: JsonObject;
  readonly propagation: string | undefined;
  readonly dryRun: readonly string[];
}): void {
  const causes: StatusCause[] = [];
  const field = 'propagationPolicy';
  const { propagation } = options;
  if (propagation !== undefined && typeof options.parsed['orphanDependents'] === 'boolean') {
    const message = `Invalid value: ${JSON.stringify(propagation)}: orphanDependents and deletionPropagation cannot be both set`;
    causes.push({ reason: 'FieldValueInvalid', message, field });
  }
  if (propagation !== undefined && !['Foreground', 'Background', 'Orphan'].includes(propagation)) {
    const supported = 'supported values: "Foreground", "Background", "Orphan", "nil"';
    const message = `Unsupported value: ${JSON.stringify(propagation)}: ${supported}`;
    causes.push({ reason: 'FieldValueNotSupported', message, field });
  }
  if (options.dryRun.some((value) => value !== 'All')) {
    const message = `Unsupported value: ${JSON.stringify(options.dryRun)}: supported values: "All"`;
    causes.push({ reason: 'FieldValueNotSupported', message, field: 'dryRun' });
  }
  if (causes.length > 0) throw invalidOptions('DeleteOptions', causes);
}

/** DELETE of one object: a Status when it is gone, the object when it is only marked or is a Pod. */
export async function deleteObject(
  engine: Engine,
  target: Target,
  options: DeleteOptions,
): Promise<KubeObject | StatusObject> {
  const { resource } = target;
  const current = lookUp(engine, target);
  if (current === undefined) throw notFound(resource, target.name ?? '');
  checkPreconditions(resource, current, options);
  if (isProtected(resource, current))
    throw forbidden(resource, current.object.metadata.name, 'this namespace may not be deleted');
  const marked = mark(engine, resource, { current: current.object, options });
  const isPod = resource.builtIn && resource.kind === 'Pod';
  if (marked === undefined) {
    const { object } = options.dryRun ? current : await removeNow(engine, resource, current);
    return isPod ? object : removedStatus(resource, current.object);
  }
  if (options.dryRun) return marked;
  const isMarkedAlready = marked === current.object;
  const stored = isMarkedAlready ? current : await engine.store.put(storageName(resource), current.key, marked);
  if (resource.builtIn && resource.kind === 'Namespace') void emptyNamespace(engine, resource, current.key);
  if (isMarkedAlready) return stored.object;
  if (!isPod || marked.metadata.deletionGracePeriodSeconds !== 0 || hasFinalizers(marked)) return stored.object;
  return (await removeNow(engine, resource, stored)).object;
}

async function removeNow(engine: Engine, resource: Resource, stored: Stored): Promise<Stored> {
  return await engine.store.remove(storageName(resource), stored.key, stored.object);
}

function removedStatus(resource: Resource, object: KubeObject): StatusObject {
  const { name, uid = '' } = object.metadata;
  return successStatus({
    name,
    ...(resource.group === '' ? {} : { group: resource.group }),
    kind: resource.plural,
    uid,
  });
}

function checkPreconditions(resource: Resource, current: Stored, options: DeleteOptions): void {
  const { name, uid, resourceVersion } = current.object.metadata;
  if (options.uid !== undefined && options.uid !== uid) {
    const why =
      `the UID in the precondition (${options.uid}) does not match the UID in record (${uid ?? ''}). ` +
      'The object might have been deleted and then recreated';
    throw conflict(resource, name, { why, form: 'kind' });
  }
  if (options.resourceVersion !== undefined && options.resourceVersion !== resourceVersion) {
    const why =
      `the ResourceVersion in the precondition (${options.resourceVersion}) does not match the ResourceVersion in ` +
      `record (${resourceVersion ?? ''}). The object might have been modified`;
    throw conflict(resource, name, { why, form: 'kind' });
  }
}

function isProtected(resource: Resource, current: Stored): boolean {
  return resource.builtIn && resource.kind === 'Namespace' && ['default', 'kube-system'].includes(current.key);
}

function hasFinalizers(object: KubeObject): boolean {
  return (object.metadata.finalizers ?? []).length > 0;
}

/**
 * The object marked for deletion, the same object when it already is, or undefined when it may go at once. A second
 * delete changes a Pod only when it shortens its grace.
 */
function mark(
  engine: Engine,
  resource: Resource,
  request: { readonly current: KubeObject; readonly options: DeleteOptions },
): KubeObject | undefined {
  const { current, options } = request;
  const isPod = resource.builtIn && resource.kind === 'Pod';
  const isNamespace = resource.builtIn && resource.kind === 'Namespace';
  const finalizers = withPropagation(current.metadata.finalizers ?? [], options.propagation);
  const grace = graceSeconds(resource, current, options.gracePeriodSeconds);
  // A Pod is marked even when it goes at once: watchers see both steps.
  if (finalizers.length === 0 && !isPod && !isNamespace) return undefined;
  const { deletionTimestamp, deletionGracePeriodSeconds } = current.metadata;
  if (deletionTimestamp !== undefined && grace >= (deletionGracePeriodSeconds ?? 0)) {
    return isPod && grace === 0 && finalizers.length === 0 ? undefined : current;
  }
  const counted = tracksGeneration(resource) && deletionTimestamp === undefined;
  const marked = withMetadata(current, {
    finalizers: finalizers.length === 0 ? undefined : finalizers,
    deletionTimestamp: formatTime(engine.now() + grace * 1000),
    deletionGracePeriodSeconds: isNamespace ? undefined : grace,
    generation: counted ? (current.metadata.generation ?? 0) + 1 : current.metadata.generation,
  });
  return isNamespace ? { ...marked, status: { phase: 'Terminating' } } : marked;
}

function withPropagation(finalizers: readonly string[], propagation: DeleteOptions['propagation']): readonly string[] {
  const added = propagation === 'Foreground' ? 'foregroundDeletion' : propagation === 'Orphan' ? 'orphan' : undefined;
  return added === undefined || finalizers.includes(added) ? finalizers : [...finalizers, added];
}

/**
 * What the namespace controller of a cluster does: delete everything in it, then the namespace itself. One held by
 * finalizers stays; another DELETE or a restart tries again.
 */
export async function emptyNamespace(engine: Engine, namespaces: Resource, namespace: string): Promise<void> {
  const options: DeleteOptions = {
    dryRun: false,
    gracePeriodSeconds: 0,
    propagation: undefined,
    uid: undefined,
    resourceVersion: undefined,
  };
  for (const resource of engine.registry.all()) {
    if (!resource.namespaced) continue;
    for (const stored of engine.store.list(storageName(resource), namespace)) {
      const { name } = stored.object.metadata;
      await deleteObject(engine, { resource, namespace, name, subresource: undefined }, options).catch(ignoreGone);
    }
  }
  const isEmpty = engine.registry
    .all()
    .every((resource) => !resource.namespaced || engine.store.list(storageName(resource), namespace).length === 0);
  const current = engine.store.get(storageName(namespaces), namespace);
  if (isEmpty && current !== undefined) await removeNow(engine, namespaces, current);
}

/** Someone else deleted it first: that is what was wanted. */
function ignoreGone(error: unknown): void {
  if (!(error instanceof Error)) throw error;
}
