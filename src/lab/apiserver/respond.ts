/**
 * Answers as bytes: one place that knows the headers of a Kubernetes API server, the list documents, and how an object
 * becomes JSON, YAML, a Table or bare metadata. Lists of unchanged objects are joined from their stored JSON texts.
 */
import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { stringify as toYaml } from 'yaml';
import type { Listing } from './list.ts';
import type { AnswerForm } from './negotiate.ts';
import { canonicalJson, type KubeObject } from './objects.ts';
import { groupVersion, type Resource } from './registry.ts';
import { badRequest, internalError, notAcceptable, StatusError } from './status-objects.ts';
import type { Stored } from './store.ts';
import { makeTable, partialMetadata, type TableOptions } from './table.ts';

/** What is written out: status code, the document, Warning texts. */
export interface Answer {
  readonly code: number;
  readonly body: unknown;
  /** JSON text of the body when it is already known. */
  readonly json?: string;
  readonly warnings?: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
}

/** Headers every answer carries. */
export function commonHeaders(): Record<string, string> {
  return { 'Audit-Id': randomUUID(), 'Cache-Control': 'no-cache, private' };
}

/** Sends a document in the negotiated form. */
export function send(response: ServerResponse, form: AnswerForm, answer: Answer): void {
  const headers: Record<string, string | string[]> = { ...commonHeaders(), ...answer.headers };
  if (answer.warnings !== undefined && answer.warnings.length > 0) {
    headers['Warning'] = answer.warnings.map((text) => `299 - ${JSON.stringify(text)}`);
  }
  const text = encode(form, answer);
  headers['Content-Type'] ??= form.media === 'yaml' ? 'application/yaml' : 'application/json';
  headers['Content-Length'] = String(Buffer.byteLength(text));
  response.writeHead(answer.code, headers);
  response.end(response.req.method === 'HEAD' ? undefined : text);
}

function encode(form: AnswerForm, answer: Answer): string {
  if (form.media === 'yaml') return toYaml(answer.body ?? JSON.parse(answer.json ?? 'null'));
  if (form.pretty) return `${JSON.stringify(answer.body ?? JSON.parse(answer.json ?? 'null'), undefined, 2)}\n`;
  return `${answer.json ?? canonicalJson(answer.body)}\n`;
}

/** Sends plain text, as the mux of a real server answers paths that are no API. */
export function sendText(response: ServerResponse, code: number, text: string): void {
  response.writeHead(code, { ...commonHeaders(), 'Content-Type': 'text/plain; charset=utf-8' });
  response.end(text);
}

/** Sends a refusal; anything but a StatusError is our own fault and answered 500 without its text leaking out. */
export function sendError(response: ServerResponse, form: AnswerForm, error: unknown): void {
  const refusal = error instanceof StatusError ? error : internalError('internal error of the embedded API server');
  const retry = refusal.status.details?.retryAfterSeconds;
  const headers = retry === undefined ? {} : { 'Retry-After': String(retry) };
  send(response, form, { code: refusal.code, body: refusal.status, json: JSON.stringify(refusal.status), headers });
}

/** One object in the form asked for; throws 406 or 500 for a form that does not fit. */
export function objectAnswer(
  resource: Resource,
  object: KubeObject,
  form: AnswerForm & { readonly table: TableOptions },
): Omit<Answer, 'code'> {
  switch (form.view) {
    case 'table': {
      const metadata = { resourceVersion: object.metadata.resourceVersion ?? '' };
      return { body: makeTable(resource, [object], { ...form.table, metadata, withColumns: true }) };
    }
    case 'partial':
      return { body: partialMetadata(object, form.version) };
    case 'partial-list':
      throw internalError('content is not a list');
    case 'object':
    case 'discovery':
      return { body: object };
  }
}

/** A list in the form asked for. */
export function listAnswer(
  resource: Resource,
  listing: Listing,
  form: AnswerForm & { readonly table: TableOptions },
): Omit<Answer, 'code'> {
  const resourceVersion = String(listing.revision);
  const remaining = listing.remaining === undefined ? {} : { remainingItemCount: listing.remaining };
  const paging = listing.continueToken === '' ? {} : { continue: listing.continueToken, ...remaining };
  const metadata = { resourceVersion, ...paging };
  const objects = (): KubeObject[] => listing.items.map((stored) => stored.object);
  switch (form.view) {
    case 'table':
      return { body: makeTable(resource, objects(), { ...form.table, metadata, withColumns: true }) };
    case 'partial-list': {
      const items = objects().map((object) => partialMetadata(object, form.version));
      return {
        body: { kind: 'PartialObjectMetadataList', apiVersion: `meta.k8s.io/${form.version}`, metadata, items },
      };
    }
    case 'partial':
      throw notAcceptable(
        'you requested PartialObjectMetadata, but the requested object is a list (*unstructured.UnstructuredList)',
      );
    case 'object':
    case 'discovery':
      return {
        body: undefined,
        json: listJson(resource, listing, resource.builtIn ? metadata : { continue: '', ...metadata }),
      };
  }
}

/** Built-in lists hold bare items; lists of custom resources repeat apiVersion and kind in each. */
function listJson(resource: Resource, listing: Listing, metadata: object): string {
  const items = listing.items.map((stored) => (resource.builtIn ? bareJson(stored) : stored.json));
  const head = `{"apiVersion":${JSON.stringify(groupVersion(resource))},"items":[`;
  return `${head}${items.join(',')}],"kind":${JSON.stringify(resource.listKind)},"metadata":${canonicalJson(metadata)}}`;
}

const bareTexts = new WeakMap<Stored, string>();

function bareJson(stored: Stored): string {
  const known = bareTexts.get(stored);
  if (known !== undefined) return known;
  const { apiVersion: _a, kind: _k, ...rest } = stored.object;
  const made = canonicalJson(rest);
  bareTexts.set(stored, made);
  return made;
}

/** Reads includeObject; throws 400. */
export function tableOptions(query: URLSearchParams, version: string, now: number): TableOptions {
  const asked = query.get('includeObject') ?? '';
  if (asked === '' || asked === 'Metadata') return { version, includeObject: 'Metadata', now };
  if (asked === 'None' || asked === 'Object') return { version, includeObject: asked, now };
  const rule = "must be 'Metadata', 'Object', 'None', or empty";
  throw badRequest(
    `Unable to convert to Table as requested: includeObject: Invalid value: ${JSON.stringify(asked)}: ${rule}`,
  );
}
