/**
 * The HTTP server: reads a request, finds what it addresses, lets verbs.ts or watch.ts answer. No authentication: it
 * listens on loopback only, and whoever can reach it is the administrator of the lab. Invariant: every request gets
 * exactly one answer, and a fault of ours is answered 500 and logged, it never ends the process.
 */
import { createHash, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server as HttpServer, type ServerResponse } from 'node:http';
import type { AddressInfo, Server as NetServer, Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { bootstrap } from './bootstrap.ts';
import { aggregatedDiscovery, apiGroup, apiGroupList, apiResourceList, apiVersions, versionInfo } from './discovery.ts';
import type { Engine, Target } from './engine.ts';
import { isSet } from './list.ts';
import { type AnswerForm, negotiate, negotiateStream, plainJson } from './negotiate.ts';
import { openApiDocument, openApiIndex } from './openapi.ts';
import { readManifests, Registry } from './registry.ts';
import { type Answer, send, sendError, sendText, tableOptions } from './respond.ts';
import { findRoute } from './routes.ts';
import { notFound, PlainNotFound, StatusError, tooLarge } from './status-objects.ts';
import { Store } from './store.ts';
import { tableShape } from './table.ts';
import { answerVerb } from './verbs.ts';
import { readWatch, Watch } from './watch.ts';

const bodyLimitBytes = 3_145_728;

export interface ApiServerOptions {
  readonly dataDir: string;
  /** CRD files and directories. */
  readonly crds: readonly string[];
  /** Events kept for watches, per resource. */
  readonly historyLimit?: number;
  readonly compactAfterBytes?: number;
  /** Faults of ours, as a sentence. */
  readonly log: (message: string, fields: Readonly<Record<string, unknown>>) => void;
  /** The data directory cannot be written any more; the process must end. */
  readonly onFailure: (error: Error) => void;
}

interface Adopted {
  readonly listener: NetServer;
  readonly sockets: Set<Socket>;
}

export class ApiServer {
  readonly #options: ApiServerOptions;
  readonly #registry = new Registry();
  readonly #store: Store;
  readonly #engine: Engine;
  readonly #http: HttpServer;
  readonly #watches = new Set<Watch>();
  readonly #listeners = new Map<string, Adopted>();
  #address = '';

  constructor(options: ApiServerOptions) {
    this.#options = options;
    this.#store = new Store({
      directory: options.dataDir,
      historyLimit: options.historyLimit ?? 2_000,
      compactAfterBytes: options.compactAfterBytes ?? 16 * 1024 * 1024,
      onFailure: options.onFailure,
    });
    this.#engine = {
      store: this.#store,
      registry: this.#registry,
      now: Date.now,
      random: Math.random,
      uuid: randomUUID,
    };
    this.#http = createServer({ keepAliveTimeout: 90_000, requestTimeout: 0 }, (request, response) => {
      void this.#answer(request, response);
    });
  }

  /** Reads manifests and data; throws ManifestError and DataDirectoryError. Listens nowhere yet. */
  async open(): Promise<void> {
    const builtIns = fileURLToPath(new URL('./builtins.yaml', import.meta.url));
    for (const resource of await readManifests([builtIns, ...this.#options.crds])) {
      this.#registry.add(resource);
      tableShape(resource);
    }
    await this.#store.open();
    await bootstrap(this.#engine);
  }

  /** Listens on a loopback port; 0 takes a free one. Rejects with the error of `listen` (EADDRINUSE). */
  async listen(port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#http.once('error', reject);
      this.#http.listen(port, '127.0.0.1', () => {
        this.#http.removeListener('error', reject);
        resolve();
      });
    });
    const address = this.#http.address() as AddressInfo;
    this.#address = `127.0.0.1:${address.port}`;
    return address.port;
  }

  /** Serves connections of one more listening socket, such as one made in another network namespace. */
  adopt(name: string, listener: NetServer): void {
    this.release(name);
    const sockets = new Set<Socket>();
    this.#listeners.set(name, { listener, sockets });
    listener.on('connection', (socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      this.#http.emit('connection', socket);
    });
  }

  /** Closes an adopted socket and what came through it, so that its namespace may go; absent is fine. */
  release(name: string): void {
    const found = this.#listeners.get(name);
    if (found === undefined) return;
    this.#listeners.delete(name);
    found.listener.close();
    for (const socket of found.sockets) socket.destroy();
  }

  /** Forgets the history of events and writes a snapshot: for tests of 410 and before a copy of the data is taken. */
  async compact(): Promise<void> {
    await this.#store.compact();
  }

  /** Ends watches, connections and listeners, then closes the log. */
  async close(): Promise<void> {
    for (const watch of this.#watches) watch.close();
    for (const name of this.#listeners.keys()) this.release(name);
    const closed = new Promise<void>((resolve) => this.#http.close(() => resolve()));
    this.#http.closeIdleConnections();
    setTimeout(() => this.#http.closeAllConnections(), 500).unref();
    await closed;
    await this.#store.close();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let form: AnswerForm = plainJson;
    try {
      const url = new URL(request.url ?? '/', 'http://localhost');
      const { method = 'GET' } = request;
      const isDiscovery = url.pathname === '/api' || url.pathname === '/apis';
      const route = findRoute(this.#registry, url.pathname);
      if (route.kind === 'document') {
        form = documentForm(url.pathname, request.headers.accept, isDiscovery);
        this.#answerDocument(request, response, { path: route.path, form });
        return;
      }
      form = negotiate(request.headers.accept, { discovery: false });
      if (url.searchParams.get('pretty') === 'true') form = { ...form, pretty: true };
      const isCollection = route.target.name === undefined;
      const wantsWatch = route.legacyWatch || (isCollection && isSet(url.searchParams, 'watch'));
      if (method === 'GET' && wantsWatch) {
        await this.#startWatch(request, response, { target: route.target, query: url.searchParams });
        return;
      }
      const body = await readBody(request);
      const verb = { method, target: route.target, query: url.searchParams, body, form };
      const answer = await answerVerb(this.#engine, { ...verb, contentType: request.headers['content-type'] });
      send(response, form, answer);
    } catch (error) {
      this.#refuse(response, form, error);
    }
  }

  #refuse(response: ServerResponse, form: AnswerForm, error: unknown): void {
    if (response.headersSent) {
      response.destroy();
    } else if (error instanceof PlainNotFound || error instanceof URIError) {
      sendText(response, 404, '404 page not found\n');
    } else {
      if (!(error instanceof StatusError)) this.#options.log('request failed', { err: error });
      sendError(response, form, error);
    }
  }

  async #startWatch(
    request: IncomingMessage,
    response: ServerResponse,
    address: { readonly target: Target; readonly query: URLSearchParams },
  ): Promise<void> {
    const { query } = address;
    const form = negotiateStream(request.headers.accept);
    // The old /watch/KIND/NAME path pins the name.
    const { name } = address.target;
    if (name !== undefined) query.append('fieldSelector', `metadata.name=${name}`);
    const target = { ...address.target, name: undefined };
    const table = tableOptions(query, form.version, this.#engine.now());
    const options = readWatch(this.#engine, target, { query, form: { ...form, table } });
    const watch = new Watch(this.#engine, options, { response, onEnd: (ended) => this.#watches.delete(ended) });
    this.#watches.add(watch);
    await watch.start();
  }

  #answerDocument(
    request: IncomingMessage,
    response: ServerResponse,
    address: { readonly path: string; readonly form: AnswerForm },
  ): void {
    const { path, form } = address;
    if (path === '/healthz' || path === '/livez' || path === '/readyz') return sendText(response, 200, 'ok');
    const body = this.#document(path, form);
    if (body === undefined) throw new PlainNotFound();
    const json = JSON.stringify(body);
    const etag = `"${createHash('sha256').update(json).digest('hex').toUpperCase()}"`;
    const headers = { ...documentHeaders(path, form), Etag: etag };
    if (request.headers['if-none-match'] === etag) {
      response.writeHead(304, headers);
      response.end();
      return;
    }
    const answer: Answer = { code: 200, body, json, headers };
    send(response, form, answer);
  }

  #document(path: string, form: AnswerForm): object | undefined {
    const registry = this.#registry;
    if (path === '/api')
      return form.view === 'discovery' ? aggregatedDiscovery(registry, 'core') : apiVersions(this.#address);
    if (path === '/apis')
      return form.view === 'discovery' ? aggregatedDiscovery(registry, 'groups') : apiGroupList(registry);
    if (path === '/version') return versionInfo();
    if (path === '/openapi/v3') return openApiIndex(registry);
    if (path.startsWith('/openapi/v3/')) return openApiDocument(registry, path.slice('/openapi/v3/'.length));
    if (path === '/')
      return { paths: ['/api', '/api/v1', '/apis', '/healthz', '/livez', '/openapi/v3', '/readyz', '/version'] };
    const [root, group = '', version = ''] = path.split('/').slice(1);
    if (root === 'api') return apiResourceList(registry, '', group);
    if (root !== 'apis') return undefined;
    return version === '' ? apiGroup(registry, group) : apiResourceList(registry, group, version);
  }
}

/** Discovery negotiates; the other documents are JSON whatever is asked, as their protobuf forms are not served. */
function documentForm(path: string, accept: string | undefined, isDiscovery: boolean): AnswerForm {
  if (isDiscovery) return negotiate(accept, { discovery: true });
  const wantsProtobufOnly = path.startsWith('/openapi/') && accept !== undefined && !/json|\*\/\*/.test(accept);
  if (wantsProtobufOnly) throw notFound({ group: '', plural: 'openapi documents', kind: 'OpenAPI' }, path);
  return plainJson;
}

function documentHeaders(path: string, form: AnswerForm): Record<string, string> {
  if (form.view === 'discovery') {
    const type = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
    return { 'Content-Type': type, Vary: 'Accept', 'Cache-Control': 'public' };
  }
  return path === '/openapi/v3' ? { 'Content-Type': 'text/plain; charset=utf-8' } : {};
}

/** The whole body as text; throws 413 beyond the limit of a real server. */
async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length <= bodyLimitBytes) chunks.push(chunk);
  }
  if (length > bodyLimitBytes) throw tooLarge(bodyLimitBytes);
  return Buffer.concat(chunks).toString('utf8');
}
