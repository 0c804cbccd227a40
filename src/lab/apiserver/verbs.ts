/**
 * The verbs on objects: which function of this folder answers which method on which path, with the option kinds and
 * media types of a real server. Refusals are thrown; server.ts turns them into answers.
 */
import {
  checkApiVersion,
  readWriteOptions,
  reportFields,
  shape,
  strictPatchError,
  type WriteOptions,
} from './admission.ts';
import { decodeJson, decodeObjectBody } from './body.ts';
import { type Engine, lookUp, type Target } from './engine.ts';
import { listObjects } from './list.ts';
import { type AnswerForm, mediaType } from './negotiate.ts';
import {
  asJson,
  asKubeObject,
  canonicalJson,
  formatTime,
  isJsonObject,
  type JsonObject,
  objectField,
  objectKey,
  textField,
} from './objects.ts';
import { applyJsonPatch, applyMergePatch } from './patch.ts';
import { storageName } from './registry.ts';
import { deleteObject, readDeleteOptions } from './remove.ts';
import { type Answer, listAnswer, objectAnswer, tableOptions } from './respond.ts';
import {
  badRequest,
  conflict,
  internalError,
  methodNotAllowed,
  notFound,
  successStatus,
  unsupportedMediaType,
  versionTooLarge,
} from './status-objects.ts';
import type { TableOptions } from './table.ts';
import { createObject, updateObject, type Written } from './write.ts';

export interface VerbRequest {
  readonly method: string;
  readonly target: Target;
  readonly query: URLSearchParams;
  readonly contentType: string | undefined;
  readonly body: string;
  readonly form: AnswerForm;
}

type FullForm = AnswerForm & { readonly table: TableOptions };

const objectTypes = ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'];
/** What this server takes; a real one also takes application/apply-patch+yaml. */
const patchTypes = ['application/json-patch+json', 'application/merge-patch+json'];

/** Answers everything but watches. */
export async function answerVerb(engine: Engine, request: VerbRequest): Promise<Answer> {
  const { target, query } = request;
  const form = { ...request.form, table: tableOptions(query, request.form.version, engine.now()) };
  checkSubresource(engine, target, request.method);
  const verb = writeVerbs[request.method];
  if (target.resource.readOnly && verb !== undefined) throw methodNotAllowed(target.resource, verb);
  switch (request.method) {
    case 'GET':
    case 'HEAD':
      return target.name === undefined
        ? await answerList(engine, request, form)
        : await answerGet(engine, request, form);
    case 'POST':
      return await answerPost(engine, request, form);
    case 'PUT':
      return await answerPut(engine, request, form);
    case 'PATCH':
      return await answerPatch(engine, request, form);
    case 'DELETE':
      return await answerDelete(engine, request, form);
    default:
      throw methodNotAllowed(target.resource, '');
  }
}

const writeVerbs: Readonly<Record<string, string>> = {
  POST: 'create',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};

const subresourceVerbs: Readonly<Record<string, string>> = { POST: 'create', DELETE: 'delete' };

/** Only status is served; an unknown subresource is a 404 that names the object, as a real server does. */
function checkSubresource(engine: Engine, target: Target, method: string): void {
  const { resource, subresource, name = '' } = target;
  if (subresource === undefined) return;
  if (resource.kind === 'Pod' && resource.builtIn && subresource === 'binding' && method === 'POST') return;
  if (subresource !== 'status' || !resource.hasStatus) throw notFound(resource, name);
  const verb = subresourceVerbs[method];
  if (verb !== undefined) throw methodNotAllowed(resource, verb);
  if (lookUp(engine, target) === undefined) throw notFound(resource, name);
}

async function answerList(engine: Engine, request: VerbRequest, form: FullForm): Promise<Answer> {
  const listing = listObjects(engine, request.target, request.query);
  await engine.store.durable(listing.revision);
  return { code: 200, ...listAnswer(request.target.resource, listing, form) };
}

async function answerGet(engine: Engine, request: VerbRequest, form: FullForm): Promise<Answer> {
  const { target, query } = request;
  const version = query.get('resourceVersion') ?? '';
  if (version !== '' && !/^\d+$/.test(version)) {
    const problem = `strconv.ParseUint: parsing ${JSON.stringify(version)}: invalid syntax`;
    throw internalError(`resourceVersion: Invalid value: ${JSON.stringify(version)}: ${problem}`);
  }
  if (Number(version) > engine.store.revision) throw versionTooLarge(version, engine.store.revision);
  const { revision } = engine.store;
  const stored = lookUp(engine, target);
  await engine.store.durable(revision);
  if (stored === undefined) throw notFound(target.resource, target.name ?? '');
  if (form.view === 'object') return { code: 200, body: stored.object, json: stored.json };
  return { code: 200, ...objectAnswer(target.resource, stored.object, form) };
}

function writtenAnswer(
  target: Target,
  written: Written,
  form: FullForm & { readonly warnings: readonly string[] },
): Answer {
  return {
    code: written.created ? 201 : 200,
    ...objectAnswer(target.resource, written.object, form),
    warnings: [...form.warnings, ...written.warnings],
  };
}

function bodyMedia(contentType: string | undefined): 'json' | 'yaml' {
  const type = mediaType(contentType);
  if (type === '' || type === 'application/json') return 'json';
  if (type === 'application/yaml') return 'yaml';
  throw unsupportedMediaType(objectTypes);
}

/** Decodes, checks the API version, prunes, defaults and reports unknown fields of a POST or PUT body. */
function readObject(
  request: VerbRequest,
  options: WriteOptions,
): { readonly object: ReturnType<typeof asKubeObject>; readonly warnings: readonly string[] } {
  const { resource } = request.target;
  const { raw, duplicates } = decodeObjectBody(request.body, bodyMedia(request.contentType), resource.kind);
  checkApiVersion(resource, raw);
  const { object, unknown } = shape(resource, raw);
  return { object, warnings: reportFields(resource, { unknown, duplicates }, options.fieldValidation) };
}

async function answerPost(engine: Engine, request: VerbRequest, form: FullForm): Promise<Answer> {
  const { target } = request;
  if (target.subresource === 'binding') return await bindPod(engine, request);
  const options = readWriteOptions(request.query, 'CreateOptions');
  const { object, warnings } = readObject(request, options);
  if (target.resource.namespaced && target.namespace === undefined) {
    throw badRequest('an empty namespace may not be set during creation');
  }
  const written = await createObject(engine, target, { object, options });
  return writtenAnswer(target, written, { ...form, warnings });
}

/** The scheduler's verb: sets spec.nodeName of a Pod that has none. */
async function bindPod(engine: Engine, request: VerbRequest): Promise<Answer> {
  const { target } = request;
  const body = decodeJson(request.body, 'error decoding binding');
  const node = isJsonObject(body) && isJsonObject(body['target']) ? textField(body['target'], 'name') : undefined;
  const current = lookUp(engine, target);
  if (current === undefined) throw notFound(target.resource, target.name ?? '');
  const spec = asJson(current.object)['spec'];
  const bound = isJsonObject(spec) ? textField(spec, 'nodeName') : undefined;
  if (node === undefined || node === '') throw badRequest('the target of a binding must be a Node with a name');
  if (bound !== undefined && bound !== '') {
    const why = `pod ${target.name ?? ''} is already assigned to node ${JSON.stringify(bound)}`;
    throw conflict({ group: '', plural: 'pods/binding', kind: 'Binding' }, target.name ?? '', { why });
  }
  const scheduled = {
    type: 'PodScheduled',
    status: 'True',
    lastProbeTime: null,
    lastTransitionTime: formatTime(engine.now()),
  };
  const object = {
    ...current.object,
    spec: { ...(isJsonObject(spec) ? spec : {}), nodeName: node },
    status: { ...objectField(asJson(current.object), 'status'), conditions: [scheduled] },
  };
  await engine.store.put(storageName(target.resource), objectKey(target.namespace, target.name ?? ''), object);
  return { code: 201, body: { ...successStatus({}), details: undefined, code: 201 } };
}

async function answerPut(engine: Engine, request: VerbRequest, form: FullForm): Promise<Answer> {
  const { target } = request;
  if (target.name === undefined) throw badRequest('name must be provided');
  const options = readWriteOptions(request.query, 'UpdateOptions');
  const { object, warnings } = readObject(request, options);
  const { name } = object.metadata;
  if (name === '')
    throw badRequest(`the name of the object (${target.name} based on URL) was undeterminable: name must be provided`);
  checkName(target, name);
  const written = await updateObject(engine, target, { object, form: 'put', options });
  return writtenAnswer(target, written, { ...form, warnings });
}

function checkName(target: Target, name: string): void {
  if (name === target.name) return;
  throw badRequest(`the name of the object (${name}) does not match the name on the URL (${target.name ?? ''})`);
}

async function answerPatch(engine: Engine, request: VerbRequest, form: FullForm): Promise<Answer> {
  const { target } = request;
  const type = mediaType(request.contentType);
  if (target.name === undefined) throw badRequest('name must be provided');
  if (!patchTypes.includes(type)) throw unsupportedMediaType(patchTypes);
  const options = readWriteOptions(request.query, 'PatchOptions');
  const current = lookUp(engine, target);
  if (current === undefined) throw notFound(target.resource, target.name);
  const patch = decodeJson(request.body, 'error decoding patch');
  const apply = type === 'application/json-patch+json' ? applyJsonPatch : applyMergePatch;
  const patched = keepIdentity(apply(asJson(current.object), patch), asJson(current.object));
  const { object, unknown } = shape(target.resource, patched);
  checkName(target, object.metadata.name);
  if (options.fieldValidation === 'Strict' && unknown.length > 0)
    throw strictPatchError(canonicalJson(patched), unknown);
  const warnings = reportFields(target.resource, { unknown, duplicates: [] }, options.fieldValidation);
  const written = await updateObject(engine, target, { object, form: 'patch', options });
  return writtenAnswer(target, written, { ...form, warnings });
}

/** A patch that takes uid or creationTimestamp away changes nothing: the server puts them back. */
function keepIdentity(patched: JsonObject, current: JsonObject): JsonObject {
  const before = isJsonObject(current['metadata']) ? current['metadata'] : {};
  const after = isJsonObject(patched['metadata']) ? patched['metadata'] : {};
  const { uid = null, creationTimestamp = null } = before;
  return { ...patched, metadata: { ...after, uid: after['uid'] ?? uid, creationTimestamp } };
}

async function answerDelete(engine: Engine, request: VerbRequest, form: FullForm): Promise<Answer> {
  const { target, query } = request;
  const options = readDeleteOptions(request.body, query);
  if (target.name === undefined) return await deleteCollection(engine, request, form);
  const result = await deleteObject(engine, target, options);
  if (!('spec' in result) && result.kind === 'Status') return { code: 200, body: result };
  return { code: 200, ...objectAnswer(target.resource, asKubeObject(asPlain(result)), form) };
}

function asPlain(value: object): JsonObject {
  return { ...value };
}

/** Deletes what the selectors choose and answers with that list as it was before. */
async function deleteCollection(engine: Engine, request: VerbRequest, form: FullForm): Promise<Answer> {
  const { target } = request;
  const listing = listObjects(engine, target, request.query);
  const options = readDeleteOptions(request.body, request.query);
  const deletions = listing.items.map(async (stored) => {
    const { name, namespace } = stored.object.metadata;
    await deleteObject(engine, { ...target, name, namespace }, options);
  });
  if (!options.dryRun) await Promise.all(deletions);
  await engine.store.durable(listing.revision);
  return { code: 200, ...listAnswer(target.resource, listing, form) };
}
