/**
 * Calls to a Kubernetes API server: JSON in, JSON out, nothing cached and nothing retried (retries are the caller's, who knows
 * what a repeat means). Life of a call: resources.ts spells the path → connection.ts says who we are → http.ts exchanges →
 * a Status answer becomes a KubeError.
 */
import type { IncomingMessage } from 'node:http';
import { type Connection, createConnection } from './connection.ts';
import { KubeError } from './errors.ts';
import { exchange, type HttpExchange, readBody, readChunks, unreachable } from './http.ts';
import { loadKubeconfig, loadServiceAccount } from './kubeconfig.ts';
import { LineSplitter } from './lines.ts';
import { asKubeObject, isRecord, type JsonRecord, type KubeObject } from './objects.ts';
import { type ResourceDef, resourcePath } from './resources.ts';

export interface KubeRequest {
  readonly method: string;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly signal: AbortSignal;
}

export interface CallOptions {
  readonly signal: AbortSignal;
  readonly namespace?: string;
}

export interface PatchOptions extends CallOptions {
  readonly subresource?: 'status';
}

export interface DeleteOptions extends CallOptions {
  /** The delete happens only if the object still has them; else KubeError 409. */
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
}

export interface ListOptions extends CallOptions {
  readonly fieldSelector?: string | undefined;
  readonly labelSelector?: string | undefined;
}

/** One page of a list; objects are as the server sent them, with `resourceVersion` of the whole snapshot. */
export interface ListPage {
  readonly items: readonly unknown[];
  readonly resourceVersion: string;
}

/** Every method rejects with KubeError, KubeConfigError (credentials cannot be had) or the reason of its signal. */
export interface KubeClient {
  /** Where the calls go, for messages. */
  readonly server: string;
  request(request: KubeRequest): Promise<unknown>;
  /**
   * The lines of a streamed answer in batches as they come; the first batch is empty and says that the server accepted.
   * Ends when the server ends it, throws after `idleMs` of silence.
   */
  streamLines(request: Omit<KubeRequest, 'method'>, idleMs: number): AsyncIterable<readonly string[]>;
  /** The object, or undefined when it does not exist. */
  find(resource: ResourceDef, name: string, options: CallOptions): Promise<KubeObject | undefined>;
  get(resource: ResourceDef, name: string, options: CallOptions): Promise<KubeObject>;
  /** All objects, in pages of 500 of one snapshot. */
  list(resource: ResourceDef, options: ListOptions): Promise<ListPage>;
  pages(resource: ResourceDef, options: ListOptions): AsyncIterable<ListPage>;
  create(resource: ResourceDef, object: KubeObject, options: CallOptions): Promise<KubeObject>;
  /** Writes the whole object; `metadata.resourceVersion` guards it. */
  replace(resource: ResourceDef, object: KubeObject, options: CallOptions): Promise<KubeObject>;
  replaceStatus(resource: ResourceDef, object: KubeObject, options: CallOptions): Promise<KubeObject>;
  patchMerge(resource: ResourceDef, name: string, patch: JsonRecord, options: PatchOptions): Promise<KubeObject>;
  delete(resource: ResourceDef, name: string, options: DeleteOptions): Promise<void>;
  close(): void;
}

export interface KubeClientOptions {
  /** Path of a kubeconfig file; without it the service account of the pod is used. */
  readonly kubeconfig?: string | undefined;
  /** For the service account; programs hand in their environment. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Up to the first slash it becomes the manager in managedFields. */
  readonly userAgent?: string;
  /** Longest wait for the headers of an answer, and for each part of its body; 30 s by default. */
  readonly timeoutMs?: number;
}

const PAGE_SIZE = '500';
const MAX_LINE_CHARS = 16 * 1024 * 1024;
const DEFAULT_TIMEOUT_MS = 30_000;

/** Reads and checks the configuration, connects to nothing. Rejects with KubeConfigError naming file and field. */
export async function createKubeClient(options: KubeClientOptions): Promise<KubeClient> {
  const access =
    options.kubeconfig === undefined
      ? await loadServiceAccount(options.environment ?? {})
      : await loadKubeconfig(options.kubeconfig);
  return new HttpKubeClient(
    await createConnection(access),
    options.userAgent ?? 'manx',
    options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
  );
}

class HttpKubeClient implements KubeClient {
  readonly server: string;
  readonly #connection: Connection;
  readonly #userAgent: string;
  readonly #timeoutMs: number;

  constructor(connection: Connection, userAgent: string, timeoutMs: number) {
    this.server = connection.server.origin;
    this.#connection = connection;
    this.#userAgent = userAgent;
    this.#timeoutMs = timeoutMs;
  }

  async request(request: KubeRequest): Promise<unknown> {
    const outgoing = this.#outgoing(request);
    const response = await exchange(this.#connection, outgoing);
    const text = await this.#whole(response, outgoing);
    const status = response.statusCode ?? 0;
    if (status < 200 || status > 299) throw statusError(outgoing, response, text);
    if (text === '') return undefined;
    return parseJson(text, `${outgoing.method} ${outgoing.path}`);
  }

  async *streamLines(request: Omit<KubeRequest, 'method'>, idleMs: number): AsyncIterable<readonly string[]> {
    const outgoing = this.#outgoing({ ...request, method: 'GET' });
    const response = await exchange(this.#connection, outgoing);
    if (response.statusCode !== 200) throw statusError(outgoing, response, await this.#whole(response, outgoing));
    const decoder = new TextDecoder();
    const splitter = new LineSplitter(MAX_LINE_CHARS);
    yield [];
    try {
      for await (const chunk of readChunks(response, idleMs)) {
        const lines = splitter.push(decoder.decode(chunk, { stream: true }));
        if (lines.length > 0) yield lines;
      }
    } catch (cause) {
      request.signal.throwIfAborted();
      throw unreachable(outgoing, this.#connection.server, cause);
    }
  }

  async find(resource: ResourceDef, name: string, options: CallOptions): Promise<KubeObject | undefined> {
    try {
      return await this.get(resource, name, options);
    } catch (error) {
      if (error instanceof KubeError && error.status === 404) return undefined;
      throw error;
    }
  }

  async get(resource: ResourceDef, name: string, { signal, namespace }: CallOptions): Promise<KubeObject> {
    return await this.#object({ method: 'GET', path: resourcePath(resource, { name, namespace }), signal });
  }

  async list(resource: ResourceDef, options: ListOptions): Promise<ListPage> {
    const items: unknown[] = [];
    let resourceVersion = '';
    for await (const page of this.pages(resource, options)) {
      for (const item of page.items) items.push(item);
      resourceVersion = page.resourceVersion;
    }
    return { items, resourceVersion };
  }

  async *pages(resource: ResourceDef, options: ListOptions): AsyncIterable<ListPage> {
    const path = resourcePath(resource, { namespace: options.namespace });
    const { fieldSelector, labelSelector, signal } = options;
    let next: string | undefined;
    do {
      const query = { limit: PAGE_SIZE, fieldSelector, labelSelector, continue: next };
      const page = asPage(await this.request({ method: 'GET', path, query, signal }), `GET ${path}`);
      yield page;
      next = page.next;
    } while (next !== undefined);
  }

  async create(resource: ResourceDef, object: KubeObject, { signal, namespace }: CallOptions): Promise<KubeObject> {
    const path = resourcePath(resource, { namespace: namespace ?? object.metadata.namespace });
    return await this.#object({ method: 'POST', path, body: object, signal });
  }

  async replace(resource: ResourceDef, object: KubeObject, options: CallOptions): Promise<KubeObject> {
    return await this.#put(resource, object, options, undefined);
  }

  async replaceStatus(resource: ResourceDef, object: KubeObject, options: CallOptions): Promise<KubeObject> {
    return await this.#put(resource, object, options, 'status');
  }

  async patchMerge(
    resource: ResourceDef,
    name: string,
    patch: JsonRecord,
    { signal, namespace, subresource }: PatchOptions,
  ): Promise<KubeObject> {
    const path = resourcePath(resource, { name, namespace, subresource });
    return await this.#object({
      method: 'PATCH',
      path,
      body: patch,
      contentType: 'application/merge-patch+json',
      signal,
    });
  }

  async delete(resource: ResourceDef, name: string, options: DeleteOptions): Promise<void> {
    const { signal, namespace, preconditions } = options;
    const body = { kind: 'DeleteOptions', apiVersion: 'v1', ...(preconditions === undefined ? {} : { preconditions }) };
    await this.request({ method: 'DELETE', path: resourcePath(resource, { name, namespace }), body, signal });
  }

  close(): void {
    this.#connection.close();
  }

  async #put(
    resource: ResourceDef,
    object: KubeObject,
    { signal, namespace = object.metadata.namespace }: CallOptions,
    subresource: 'status' | undefined,
  ): Promise<KubeObject> {
    const path = resourcePath(resource, { name: object.metadata.name, namespace, subresource });
    return await this.#object({ method: 'PUT', path, body: object, signal });
  }

  async #object(request: KubeRequest): Promise<KubeObject> {
    return asKubeObject(await this.request(request), `${request.method} ${request.path}`);
  }

  #outgoing(request: KubeRequest): HttpExchange {
    const query = new URLSearchParams();
    for (const [key, value] of Object.entries(request.query ?? {})) if (value !== undefined) query.set(key, value);
    const body = request.body === undefined ? undefined : JSON.stringify(request.body);
    const headers: Record<string, string> = { accept: 'application/json', 'user-agent': this.#userAgent };
    if (body !== undefined) {
      headers['content-type'] = request.contentType ?? 'application/json';
      headers['content-length'] = String(Buffer.byteLength(body));
    }
    const path = query.size === 0 ? request.path : `${request.path}?${query.toString()}`;
    return { method: request.method, path, headers, body, signal: request.signal, timeoutMs: this.#timeoutMs };
  }

  async #whole(response: IncomingMessage, outgoing: HttpExchange): Promise<string> {
    try {
      return await readBody(response, this.#timeoutMs);
    } catch (cause) {
      outgoing.signal.throwIfAborted();
      throw unreachable(outgoing, this.#connection.server, cause);
    }
  }
}

function asPage(value: unknown, where: string): ListPage & { readonly next: string | undefined } {
  const metadata = isRecord(value) ? value['metadata'] : undefined;
  const items = isRecord(value) ? (value['items'] ?? []) : undefined;
  if (!isRecord(metadata) || !Array.isArray(items) || typeof metadata['resourceVersion'] !== 'string') {
    throw new KubeError(`${where}: the answer is not a list`, { code: 'API_PROTOCOL' });
  }
  const next = metadata['continue'];
  return {
    items,
    resourceVersion: metadata['resourceVersion'],
    next: typeof next === 'string' && next !== '' ? next : undefined,
  };
}

function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new KubeError(`${where}: the answer is not JSON`, { code: 'API_PROTOCOL', cause });
  }
}

/** An answer that is no success, in the server's own words where it has any (a Status object). */
function statusError(request: HttpExchange, response: IncomingMessage, text: string): KubeError {
  const status = response.statusCode ?? 0;
  const body = tryJson(text);
  const message = typeof body['message'] === 'string' ? body['message'] : text.slice(0, 200).trim();
  return new KubeError(`${request.method} ${request.path}: ${status}: ${message || 'no message'}`, {
    code: 'API_STATUS',
    status,
    reason: typeof body['reason'] === 'string' ? body['reason'] : '',
    retryAfterSec: retryAfter(response.headers['retry-after'], body['details']),
  });
}

function tryJson(text: string): JsonRecord {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : {};
  } catch {
    return {};
  }
}

function retryAfter(header: string | undefined, details: unknown): number | undefined {
  const seconds = Number(header ?? (isRecord(details) ? details['retryAfterSeconds'] : undefined));
  return Number.isFinite(seconds) && seconds > 0 ? seconds : undefined;
}
