/**
 * Watch: a stream of events from a revision on, one JSON document a line (Kubernetes API concepts, "Efficient detection
 * of changes"). An event is serialised once per form and shared by all watchers. Invariants: events come in the order of
 * their revisions, none twice and none left out; a watch that cannot promise that (too old, too slow) is ended.
 */
import type { ServerResponse } from 'node:http';
import type { Engine, Target } from './engine.ts';
import { isSet, readInteger, selectorOf } from './list.ts';
import type { AnswerForm } from './negotiate.ts';
import { asJson, canonicalJson, type KubeObject, withMetadata } from './objects.ts';
import { groupVersion, type Resource, storageName } from './registry.ts';
import { commonHeaders } from './respond.ts';
import type { Matcher } from './selectors.ts';
import { expired, internalError, invalidOptions, type StatusCause } from './status-objects.ts';
import type { Stored, StoreEvent } from './store.ts';
import { bookmarkTable, makeTable, partialMetadata, type TableOptions, withoutName } from './table.ts';

/** A watcher that reads slower than this falls behind and is cut off; it lists again. */
const bufferLimitBytes = 32 * 1024 * 1024;
const bookmarkEveryMs = 60_000;
/** Before a watch ends by its timeout it says how far it came. */
const bookmarkBeforeEndMs = 2_000;
const defaultTimeoutSec = 1_800;

type EventType = 'ADDED' | 'MODIFIED' | 'DELETED';

interface WatchOptions {
  readonly target: Target;
  readonly matcher: Matcher | undefined;
  /** Undefined: begin with the present state. */
  readonly since: number | undefined;
  readonly bookmarks: boolean;
  /** Mark the end of the present state with a bookmark. */
  readonly markInitial: boolean;
  readonly timeoutMs: number;
  readonly form: AnswerForm & { readonly table: TableOptions };
}

/** Reads the parameters of a watch; throws 400, 422, 500 before anything is sent. */
export function readWatch(
  engine: Engine,
  target: Target,
  request: { readonly query: URLSearchParams; readonly form: AnswerForm & { readonly table: TableOptions } },
): WatchOptions {
  const { query, form } = request;
  const matcher = selectorOf(target, query);
  const timeoutSec = readInteger(query, 'timeoutSeconds') ?? defaultTimeoutSec * (1 + engine.random());
  const version = query.get('resourceVersion') ?? '';
  checkWatchOptions(query);
  if (version !== '' && !/^\d+$/.test(version)) {
    const problem = `strconv.ParseUint: parsing ${JSON.stringify(version)}: invalid syntax`;
    throw internalError(`resourceVersion: Invalid value: ${JSON.stringify(version)}: ${problem}`);
  }
  const bookmarks = isSet(query, 'allowWatchBookmarks');
  const initial = isSet(query, 'sendInitialEvents');
  const fromNow = version === '' || version === '0' || initial;
  return {
    target,
    matcher,
    since: fromNow ? undefined : Number(version),
    bookmarks,
    markInitial: initial && bookmarks,
    timeoutMs: Math.min(timeoutSec * 1000, 0x7fff_ffff),
    form,
  };
}

function checkWatchOptions(query: URLSearchParams): void {
  const causes: StatusCause[] = [];
  const match = query.get('resourceVersionMatch') ?? '';
  const field = 'resourceVersionMatch';
  const forbid = (text: string): void => {
    causes.push({ reason: 'FieldValueForbidden', message: `Forbidden: ${text}`, field });
  };
  if (query.has('sendInitialEvents')) {
    if (match !== 'NotOlderThan') {
      forbid('sendInitialEvents requires setting resourceVersionMatch to NotOlderThan');
      if (match !== '') {
        const message = `Unsupported value: ${JSON.stringify(match)}: supported values: "NotOlderThan"`;
        causes.push({ reason: 'FieldValueNotSupported', message, field });
      }
    }
  } else if (match !== '') {
    forbid('resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided');
  }
  if (causes.length > 0) throw invalidOptions('ListOptions', causes);
}

/** Streams until the timeout, the client or `close()` ends it. */
export class Watch {
  readonly #engine: Engine;
  readonly #options: WatchOptions;
  readonly #response: ServerResponse;
  readonly #onEnd: (watch: Watch) => void;
  #unsubscribe: () => void = () => undefined;
  #timers: NodeJS.Timeout[] = [];
  /** Events that arrive while the present state is still being written. */
  #held: StoreEvent[] | undefined = [];
  #startRevision = 0;
  #sent = false;
  #tableStarted = false;
  #ended = false;

  constructor(
    engine: Engine,
    options: WatchOptions,
    stream: { readonly response: ServerResponse; readonly onEnd: (watch: Watch) => void },
  ) {
    this.#engine = engine;
    this.#options = options;
    this.#response = stream.response;
    this.#onEnd = stream.onEnd;
  }

  async start(): Promise<void> {
    const { target, since, timeoutMs, bookmarks } = this.#options;
    const { store } = this.#engine;
    const storage = storageName(target.resource);
    this.#response.writeHead(200, { ...commonHeaders(), 'Content-Type': 'application/json' });
    this.#response.flushHeaders();
    this.#response.once('close', () => this.close());
    this.#unsubscribe = store.subscribe(storage, (event) => this.#receive(event));
    this.#after(timeoutMs, () => this.close());
    if (bookmarks) this.#scheduleBookmarks();
    this.#startRevision = since ?? store.revision;
    if (since === undefined) {
      const items = store.list(storage, target.namespace);
      await store.durable(this.#startRevision);
      this.#sendInitial(items);
    } else {
      const past = store.eventsAfter(storage, since);
      if ('oldest' in past) {
        this.#sendError(expired(`too old resource version: ${since} (${past.oldest})`).status);
        this.close();
        return;
      }
      for (const event of past) this.#deliver(event);
    }
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const event of held) this.#deliver(event);
  }

  /** Ends the stream cleanly. */
  close(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#unsubscribe();
    for (const timer of this.#timers) clearTimeout(timer);
    this.#response.end();
    this.#onEnd(this);
  }

  #after(delayMs: number, run: () => void): void {
    this.#timers.push(setTimeout(run, delayMs));
  }

  #scheduleBookmarks(): void {
    const { timeoutMs } = this.#options;
    if (timeoutMs > bookmarkBeforeEndMs) this.#after(timeoutMs - bookmarkBeforeEndMs, () => this.#bookmark(false));
    const again = (): void => {
      this.#bookmark(false);
      this.#after(bookmarkEveryMs, again);
    };
    this.#after(bookmarkEveryMs, again);
  }

  #sendInitial(items: readonly Stored[]): void {
    const { matcher, markInitial } = this.#options;
    for (const stored of items) {
      if (matcher !== undefined && !matcher(asJson(stored.object))) continue;
      this.#write(this.#encode('ADDED', stored.object, stored.json));
    }
    if (markInitial) this.#bookmark(true);
  }

  #receive(event: StoreEvent): void {
    if (event.revision <= this.#startRevision) return;
    if (this.#held !== undefined) this.#held.push(event);
    else this.#deliver(event);
  }

  #deliver(event: StoreEvent): void {
    const { namespace } = this.#options.target;
    if (namespace !== undefined && !event.current.key.startsWith(`${namespace}/`)) return;
    const seen = this.#seenAs(event);
    if (seen !== undefined) this.#write(seen);
  }

  /** The line for an event as this watch's selectors see it: an object that stops matching is DELETED. */
  #seenAs(event: StoreEvent): string | undefined {
    const { matcher } = this.#options;
    const { change, current, previous } = event;
    if (matcher === undefined) {
      const type = change === 'added' ? 'ADDED' : change === 'deleted' ? 'DELETED' : 'MODIFIED';
      return this.#shared(event, type, current.object);
    }
    const matchedBefore = previous !== undefined && matcher(asJson(previous.object));
    const matchesNow = change !== 'deleted' && matcher(asJson(current.object));
    if (matchesNow) return this.#shared(event, matchedBefore ? 'MODIFIED' : 'ADDED', current.object);
    if (!matchedBefore) return undefined;
    if (change === 'deleted') return this.#shared(event, 'DELETED', current.object);
    // The old content with the new revision, as the recorded server sends it.
    const last = withMetadata(previous.object, { resourceVersion: String(event.revision) });
    return this.#encode('DELETED', last, undefined);
  }

  #shared(event: StoreEvent, type: EventType, object: KubeObject): string {
    const { form } = this.#options;
    if (form.view === 'table') return this.#encode(type, object, undefined);
    const encoding = `${type} ${form.view} ${form.version}`;
    const known = event.encoded.get(encoding);
    if (known !== undefined) return known;
    const made = this.#encode(type, object, event.current.json);
    event.encoded.set(encoding, made);
    return made;
  }

  #encode(type: EventType, object: KubeObject, json: string | undefined): string {
    const { form, target } = this.#options;
    if (form.view === 'table') {
      const metadata = { resourceVersion: object.metadata.resourceVersion ?? '' };
      const options = { ...form.table, now: this.#engine.now(), metadata, withColumns: this.#firstTable() };
      return line(type, canonicalJson(makeTable(target.resource, [object], options)));
    }
    if (form.view === 'partial') return line(type, canonicalJson(partialMetadata(object, form.version)));
    return line(type, json ?? canonicalJson(object));
  }

  /** Column definitions go with the first table of a stream only. */
  #firstTable(): boolean {
    const isFirst = !this.#tableStarted;
    this.#tableStarted = true;
    return isFirst;
  }

  #bookmark(isInitialEnd: boolean): void {
    const revision = this.#engine.store.durableRevision;
    if (!isInitialEnd && !this.#sent && revision <= this.#startRevision) return;
    const { form, target } = this.#options;
    const metadata: KubeObject['metadata'] = {
      name: '',
      resourceVersion: String(isInitialEnd ? this.#startRevision : revision),
      ...(isInitialEnd ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {}),
    };
    this.#write(line('BOOKMARK', canonicalJson(this.#bookmarkObject(target.resource, metadata, form.view))));
  }

  #bookmarkObject(resource: Resource, metadata: KubeObject['metadata'], view: AnswerForm['view']): object {
    const { version } = this.#options.form;
    if (view === 'table') return bookmarkTable(resource, metadata, { version, withColumns: this.#firstTable() });
    const bare = withoutName(metadata);
    if (view === 'partial')
      return { kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${version}`, metadata: bare };
    return { apiVersion: groupVersion(resource), kind: resource.kind, metadata: bare };
  }

  #sendError(status: object): void {
    this.#write(`{"type":"ERROR","object":${JSON.stringify(status)}}\n`);
  }

  #write(text: string): void {
    if (this.#ended) return;
    this.#sent = true;
    this.#response.write(text);
    if (this.#response.writableLength > bufferLimitBytes) this.#response.destroy();
  }
}

function line(type: string, object: string): string {
  return `{"type":"${type}","object":${object}}\n`;
}
