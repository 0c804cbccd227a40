/**
 * From what a client sent to what may be stored: metadata and schema are read, unknown fields pruned and reported as
 * fieldValidation asks, defaults filled in, everything validated with all causes at once. Pure: no store, no
 * clock. Invariant: an object that leaves `judge` without a throw satisfies schema and rules.
 */
import { forbiddenChanges, nameForm } from './builtins.ts';
import { checkMetadata, checkMetadataUpdate, finalizerWarnings, readMetadata } from './metadata.ts';
import {
  asJson,
  asJsonMetadata,
  asKubeObject,
  isJsonObject,
  type JsonObject,
  type KubeObject,
  objectField,
  plainText,
} from './objects.ts';
import { groupVersion, type Resource } from './registry.ts';
import { blocksRules, uncheckedCause } from './schema-check.ts';
import { pruneAndDefault } from './schema-walk.ts';
import { badRequest, invalid, invalidOptions, type StatusCause, type StatusError } from './status-objects.ts';

export type FieldValidation = 'Strict' | 'Warn' | 'Ignore';

export interface WriteOptions {
  readonly dryRun: boolean;
  readonly fieldValidation: FieldValidation;
}

/** Reads dryRun and fieldValidation; throws 422 naming the options object of the verb. */
export function readWriteOptions(query: URLSearchParams, kind: string): WriteOptions {
  const causes: StatusCause[] = [];
  const dryRun = query.getAll('dryRun');
  if (dryRun.some((value) => value !== 'All')) {
    const message = `Unsupported value: ${JSON.stringify(dryRun)}: supported values: "All"`;
    causes.push({ reason: 'FieldValueNotSupported', message, field: 'dryRun' });
  }
  const asked = query.get('fieldValidation') ?? '';
  if (!['', 'Ignore', 'Strict', 'Warn'].includes(asked)) {
    const message = `Unsupported value: ${JSON.stringify(asked)}: supported values: "", "Ignore", "Strict", "Warn"`;
    causes.push({ reason: 'FieldValueNotSupported', message, field: 'fieldValidation' });
  }
  if (causes.length > 0) throw invalidOptions(kind, causes);
  const fieldValidation = asked === 'Strict' || asked === 'Ignore' ? asked : 'Warn';
  return { dryRun: dryRun.length > 0, fieldValidation };
}

/** Prunes and defaults an object; throws 400 for a metadata field of a wrong type. */
export function shape(
  resource: Resource,
  raw: JsonObject,
): { readonly object: KubeObject; readonly unknown: readonly string[] } {
  const { apiVersion, kind, metadata: rawMetadata, ...content } = raw;
  const { metadata, unknown, wrong } = readMetadata(isJsonObject(rawMetadata) ? rawMetadata : {});
  if (wrong !== undefined) {
    throw badRequest(
      `${resource.kind} in version ${JSON.stringify(resource.version)} cannot be handled as a ${resource.kind}: ` +
        `json: cannot unmarshal ${wrong}`,
    );
  }
  const walked = pruneAndDefault(content, contentSchema(resource));
  const body = isJsonObject(walked.value) ? walked.value : {};
  const object = asKubeObject({
    ...body,
    apiVersion: apiVersion ?? '',
    kind: kind ?? '',
    metadata: asJsonMetadata(metadata),
  });
  return { object, unknown: [...walked.unknown, ...unknown].sort() };
}

const contentSchemas = new WeakMap<Resource, JsonObject>();

/** The schema without apiVersion, kind and metadata, which are handled apart. */
function contentSchema(resource: Resource): JsonObject {
  const known = contentSchemas.get(resource);
  if (known !== undefined) return known;
  const { apiVersion: _a, kind: _k, metadata: _m, ...properties } = objectField(resource.schema, 'properties') ?? {};
  const made = { ...resource.schema, properties };
  contentSchemas.set(resource, made);
  return made;
}

/** Turns unknown and duplicate fields into warnings, or under Strict into the refusal of a POST or PUT. */
export function reportFields(
  resource: Resource,
  fields: { readonly unknown: readonly string[]; readonly duplicates: readonly string[] },
  validation: FieldValidation,
): readonly string[] {
  if (validation === 'Ignore') return [];
  const texts = [
    ...fields.duplicates.map((path) => `duplicate field ${JSON.stringify(path)}`),
    ...fields.unknown.map((path) => `unknown field ${JSON.stringify(path)}`),
  ];
  if (texts.length === 0 || validation === 'Warn') return texts;
  throw badRequest(
    `${resource.kind} in version ${JSON.stringify(resource.version)} cannot be handled as a ${resource.kind}: ` +
      `strict decoding error: ${texts.join(', ')}`,
  );
}

/** The refusal of unknown fields in a patch under Strict: 422, and it names no kind. */
export function strictPatchError(patched: string, unknown: readonly string[]): StatusError {
  const texts = unknown.map((path) => `unknown field ${JSON.stringify(path)}`).join(', ');
  const message = `Invalid value: ${JSON.stringify(patched)}: strict decoding error: ${texts}`;
  return invalid({ kind: '', group: '', name: '' }, [{ reason: 'FieldValueInvalid', message, field: 'patch' }]);
}

/** Throws 422 with every cause when `next` may not replace `previous`, or be created when there is none. */
export function judge(
  resource: Resource,
  change: { readonly next: KubeObject; readonly previous?: KubeObject; readonly subresource?: string | undefined },
): void {
  const { next, previous, subresource } = change;
  const causes: StatusCause[] = [
    ...typeCauses(resource, next),
    ...checkMetadata(next.metadata, nameForm(resource)),
    ...(previous === undefined ? [] : checkMetadataUpdate(next.metadata, previous.metadata)),
    ...(previous === undefined ? [] : forbiddenChanges(resource, next, previous)),
    ...resource.validator.check(asJson(next)).map((cause) => (subresource === 'status' ? belowStatus(cause) : cause)),
  ];
  if (blocksRules(causes)) causes.push(uncheckedCause);
  else
    causes.push(...resource.validator.checkRules(asJson(next), previous === undefined ? undefined : asJson(previous)));
  if (causes.length === 0) return;
  throw invalid({ kind: next.kind, group: resource.group, name: next.metadata.name }, causes);
}

/** On /status a real server names a field from status on inside the message, but in full in front of it. */
function belowStatus(cause: StatusCause): StatusCause {
  const inside = `${cause.field} in body`;
  return { ...cause, message: cause.message.replace(inside, inside.replace(/^status\./, '')) };
}

/** kind and apiVersion of a patched or posted object that are not those of the path. */
function typeCauses(resource: Resource, object: KubeObject): readonly StatusCause[] {
  const causes: StatusCause[] = [];
  const expect = (field: 'kind' | 'apiVersion', expected: string): void => {
    if (object[field] === expected) return;
    const message = `Invalid value: ${JSON.stringify(object[field])}: must be ${expected}`;
    causes.push({ reason: 'FieldValueInvalid', message, field });
  };
  expect('kind', resource.kind);
  expect('apiVersion', groupVersion(resource));
  return causes;
}

/** Warnings about the metadata of an accepted object. */
export function metadataWarnings(object: KubeObject): readonly string[] {
  return finalizerWarnings(object.metadata.finalizers ?? []);
}

/** 400 when a POST or PUT body is of another API version than the path. */
export function checkApiVersion(resource: Resource, raw: JsonObject): void {
  const expected = groupVersion(resource);
  if (raw['apiVersion'] === expected) return;
  throw badRequest(
    `the API version in the data (${plainText(raw['apiVersion'])}) does not match the expected API version (${expected})`,
  );
}
