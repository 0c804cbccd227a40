/**
 * ObjectMeta: what the server keeps of what a client sent, and the checks every kind shares (names, labels, annotations,
 * finalizers; k8s.io/apimachinery validation). Pure. `managedFields` is dropped: the embedded server keeps no field
 * ownership because it has no server-side apply, and says so by not showing any.
 */
import { isJsonObject, type JsonObject, jsonEqual, type ObjectMeta } from './objects.ts';
import type { StatusCause } from './status-objects.ts';

interface FieldType {
  readonly fits: (value: unknown) => boolean;
  /** The Go type, as refusals name it. */
  readonly goType: string;
}

const text: FieldType = { fits: isText, goType: 'string' };
const count: FieldType = { fits: isNumber, goType: 'int64' };
const textMap: FieldType = { fits: isTextMap, goType: 'string' };

const knownFields = new Map<string, FieldType>([
  ['name', text],
  ['generateName', text],
  ['namespace', text],
  ['uid', text],
  ['resourceVersion', text],
  ['selfLink', text],
  ['generation', count],
  ['creationTimestamp', text],
  ['deletionTimestamp', text],
  ['deletionGracePeriodSeconds', count],
  ['labels', textMap],
  ['annotations', textMap],
  ['finalizers', { fits: isTextList, goType: 'string' }],
  ['ownerReferences', { fits: isObjectList, goType: 'v1.OwnerReference' }],
  ['managedFields', { fits: Array.isArray, goType: 'v1.ManagedFieldsEntry' }],
]);

const droppedFields = new Set(['selfLink', 'managedFields']);

/** The kept fields of a client's metadata, the unknown ones by path, and the first field of a wrong type in words. */
export function readMetadata(raw: JsonObject): {
  readonly metadata: ObjectMeta;
  readonly unknown: readonly string[];
  readonly wrong: string | undefined;
} {
  const kept: Record<string, unknown> = {};
  const unknown: string[] = [];
  let wrong: string | undefined;
  for (const [key, value] of Object.entries(raw)) {
    const type = knownFields.get(key);
    if (type === undefined) unknown.push(`metadata.${key}`);
    else if (value === null || droppedFields.has(key)) continue;
    else if (!type.fits(value))
      wrong ??= `${wrongType(value)} into Go struct field ObjectMeta.${key} of type ${type.goType}`;
    else if (!isEmpty(value)) kept[key] = value;
  }
  return { metadata: { name: '', ...kept }, unknown, wrong };
}

/** The JSON type that is wrong: of the value itself, or of the first wrong one inside a map or list. */
function wrongType(value: unknown): string {
  const inner =
    typeof value === 'object' && value !== null ? Object.values(value).find((item) => !isText(item)) : undefined;
  const found: unknown = inner ?? value;
  if (Array.isArray(found)) return 'array';
  return typeof found === 'boolean' ? 'bool' : typeof found;
}

function isText(value: unknown): boolean {
  return typeof value === 'string';
}

function isNumber(value: unknown): boolean {
  return typeof value === 'number' && Number.isInteger(value);
}

function isTextMap(value: unknown): boolean {
  return isJsonObject(value) && Object.values(value).every(isText);
}

function isTextList(value: unknown): boolean {
  return Array.isArray(value) && value.every(isText);
}

function isObjectList(value: unknown): boolean {
  return Array.isArray(value) && value.every(isJsonObject);
}

/** Go's omitempty: empty maps, lists and strings leave no trace. */
function isEmpty(value: unknown): boolean {
  if (value === '') return true;
  if (Array.isArray(value)) return value.length === 0;
  return isJsonObject(value) && Object.keys(value).length === 0;
}

const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const labelName = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const labelValue = /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/;
const annotationLimitBytes = 262_144;

const subdomainRule =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and " +
  "end with an alphanumeric character (e.g. 'example.com', regex used for validation is " +
  "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const labelRule =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with " +
  "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const nameRule =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric " +
  "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is " +
  "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const valueRule =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end " +
  "with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is " +
  "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/** Causes of everything wrong with an object's own metadata; `nameForm` is label for namespaces. */
export function checkMetadata(metadata: ObjectMeta, nameForm: 'subdomain' | 'label'): readonly StatusCause[] {
  const causes: StatusCause[] = [];
  if (metadata.name === '') {
    causes.push({
      reason: 'FieldValueRequired',
      message: 'Required value: name or generateName is required',
      field: 'metadata.name',
    });
  } else {
    causes.push(...checkName(metadata.name, nameForm));
  }
  causes.push(...checkLabels(metadata.labels ?? {}), ...checkAnnotations(metadata.annotations ?? {}));
  for (const finalizer of metadata.finalizers ?? []) {
    const message = qualifiedNameProblem(finalizer);
    if (message !== undefined) causes.push(invalidValue('metadata.finalizers', finalizer, message));
  }
  for (const owner of metadata.ownerReferences ?? []) {
    for (const key of ['apiVersion', 'kind', 'name', 'uid']) {
      if (typeof owner[key] === 'string' && owner[key] !== '') continue;
      causes.push(invalidValue(`metadata.ownerReferences.${key}`, owner[key] ?? '', 'must not be empty'));
    }
  }
  return causes;
}

function checkName(name: string, form: 'subdomain' | 'label'): readonly StatusCause[] {
  const limit = form === 'label' ? 63 : 253;
  const causes: StatusCause[] = [];
  if (name.length > limit) causes.push(invalidValue('metadata.name', name, `must be no more than ${limit} characters`));
  const isValid = subdomain.test(name) && (form === 'subdomain' || !name.includes('.'));
  if (!isValid) causes.push(invalidValue('metadata.name', name, form === 'label' ? labelRule : subdomainRule));
  return causes;
}

function checkLabels(labels: Readonly<Record<string, string>>): readonly StatusCause[] {
  const causes: StatusCause[] = [];
  for (const [key, value] of Object.entries(labels)) {
    const problem = qualifiedNameProblem(key);
    if (problem !== undefined) causes.push(invalidValue('metadata.labels', key, problem));
    if (value.length > 63) {
      causes.push({
        reason: 'FieldValueTooLong',
        message: 'Too long: may not be more than 63 bytes',
        field: 'metadata.labels',
      });
    } else if (!labelValue.test(value)) causes.push(invalidValue('metadata.labels', value, valueRule));
  }
  return causes;
}

function checkAnnotations(annotations: Readonly<Record<string, string>>): readonly StatusCause[] {
  const field = 'metadata.annotations';
  const causes: StatusCause[] = [];
  let bytes = 0;
  for (const [key, value] of Object.entries(annotations)) {
    const problem = qualifiedNameProblem(key.toLowerCase());
    if (problem !== undefined) causes.push(invalidValue(field, key, problem));
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  if (bytes > annotationLimitBytes) {
    const message = `Too long: may not be more than ${annotationLimitBytes} bytes`;
    causes.push({ reason: 'FieldValueTooLong', message, field });
  }
  return causes;
}

/** What is wrong with `prefix/name`, or undefined. */
function qualifiedNameProblem(text: string): string | undefined {
  const parts = text.split('/');
  const name = parts.at(-1) ?? '';
  if (parts.length > 2) {
    const rule = nameRule.slice('name part '.length);
    return `a valid label key ${rule} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`;
  }
  if (parts.length === 2) {
    const prefix = parts[0] ?? '';
    if (prefix === '') return 'prefix part must be non-empty';
    if (!subdomain.test(prefix)) return `prefix part ${subdomainRule}`;
  }
  if (name === '') return 'name part must be non-empty';
  if (name.length > 63) return 'name part must be no more than 63 characters';
  return labelName.test(name) ? undefined : nameRule;
}

function invalidValue(field: string, value: unknown, text: string): StatusCause {
  return { reason: 'FieldValueInvalid', message: `Invalid value: ${JSON.stringify(value)}: ${text}`, field };
}

/** Causes of a forbidden change between two states of one object. */
export function checkMetadataUpdate(next: ObjectMeta, previous: ObjectMeta): readonly StatusCause[] {
  const causes: StatusCause[] = [];
  for (const field of ['uid', 'creationTimestamp', 'deletionTimestamp', 'deletionGracePeriodSeconds'] as const) {
    if (next[field] === undefined || jsonEqual(next[field], previous[field])) continue;
    // creationTimestamp of the client is overwritten in silence; the rest is refused (twice, as a real server does).
    if (field === 'creationTimestamp') continue;
    const cause = invalidValue(`metadata.${field}`, next[field], 'field is immutable');
    causes.push(cause, cause);
  }
  if (previous.deletionTimestamp !== undefined) {
    const added = (next.finalizers ?? []).filter((name) => !(previous.finalizers ?? []).includes(name));
    if (added.length > 0) {
      const list = added.map((name) => JSON.stringify(name)).join(', ');
      const message =
        'Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers ' +
        `[]string{${list}}`;
      causes.push({ reason: 'FieldValueForbidden', message, field: 'metadata.finalizers' });
    }
  }
  return causes;
}

/** Warnings about finalizers without a domain, as a real server sends them. */
export function finalizerWarnings(finalizers: readonly string[]): readonly string[] {
  const standard = new Set(['foregroundDeletion', 'orphan', 'kubernetes']);
  return finalizers
    .filter((name) => !name.includes('/') && !standard.has(name))
    .map(
      (name) =>
        `metadata.finalizers: ${JSON.stringify(name)}: prefer a domain-qualified finalizer name ` +
        'to avoid accidental conflicts with other finalizer writers',
    );
}
