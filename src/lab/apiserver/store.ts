/**
 * The state of the cluster: one Map per resource, one revision counter for all kinds (as etcd has), and per resource a
 * bounded history of events for watches and for lists of the recent past. A write changes memory at once, so the next
 * compare-and-swap sees it, but is acknowledged and shown to watchers only after the commit log has fsynced it.
 * Invariant: no reader is answered with a state that a crash could take back (`durable()` waits for the flush).
 */
import { CommitLog, type LogRecord } from './commit-log.ts';
import { asKubeObject, canonicalJson, type JsonObject, type KubeObject } from './objects.ts';

/** An object as stored, with its JSON text made once. */
export interface Stored {
  readonly key: string;
  readonly revision: number;
  readonly object: KubeObject;
  readonly json: string;
}

/** A change as watchers see it; `object` carries the revision of the change, also for a removal. */
export interface StoreEvent {
  readonly revision: number;
  readonly resource: string;
  readonly change: 'added' | 'modified' | 'deleted';
  readonly current: Stored;
  readonly previous: Stored | undefined;
  /** Encoded forms made once and shared by every watcher, keyed by representation. */
  readonly encoded: Map<string, string>;
}

export interface StoreOptions {
  readonly directory: string;
  /** Events kept per resource; older ones answer 410. */
  readonly historyLimit: number;
  readonly compactAfterBytes: number;
  readonly onFailure: (error: Error) => void;
}

type Listener = (event: StoreEvent) => void;

interface Table {
  readonly objects: Map<string, Stored>;
  history: StoreEvent[];
  /** Revisions up to and including this one cannot be replayed. */
  floor: number;
  /** The objects in key order, until the next write. */
  sorted: readonly Stored[] | undefined;
}

export class Store {
  readonly #options: StoreOptions;
  readonly #log: CommitLog;
  readonly #tables = new Map<string, Table>();
  readonly #listeners = new Map<string, Set<Listener>>();
  #revision = 0;
  #durable = 0;
  #floor = 0;
  #waiting: { readonly revision: number; readonly resolve: () => void }[] = [];

  constructor(options: StoreOptions) {
    this.#options = options;
    this.#log = new CommitLog({
      directory: options.directory,
      compactAfterBytes: options.compactAfterBytes,
      capture: () => ({ revision: this.#revision, records: this.#capture() }),
      onFailure: options.onFailure,
    });
  }

  /** Loads the data directory; throws DataDirectoryError. */
  async open(): Promise<void> {
    await this.#log.recover((record, fromSnapshot) => this.#replay(record, fromSnapshot));
    this.#durable = this.#revision;
  }

  async close(): Promise<void> {
    await this.#log.close();
  }

  /** The newest revision in memory; what was read at it may be shown after `durable(revision)`. */
  get revision(): number {
    return this.#revision;
  }

  /** The newest revision on disk. */
  get durableRevision(): number {
    return this.#durable;
  }

  /** Waits until `revision` is on disk. */
  async durable(revision: number): Promise<void> {
    if (revision <= this.#durable) return;
    await new Promise<void>((resolve) => this.#waiting.push({ revision, resolve }));
  }

  get(resource: string, key: string): Stored | undefined {
    return this.#table(resource).objects.get(key);
  }

  /** All objects of a resource, or of one namespace of it, sorted by key. */
  list(resource: string, namespace?: string): readonly Stored[] {
    const table = this.#table(resource);
    table.sorted ??= [...table.objects.values()].sort(byKey);
    return inNamespace(table.sorted, namespace);
  }

  /** The list as it was at `revision`, or undefined when the history does not reach back that far. */
  listAt(resource: string, revision: number, namespace?: string): readonly Stored[] | undefined {
    const table = this.#table(resource);
    if (revision < table.floor) return undefined;
    const objects = new Map(table.objects);
    for (const event of table.history.toReversed()) {
      if (event.revision <= revision) break;
      if (event.previous === undefined) objects.delete(event.current.key);
      else objects.set(event.current.key, event.previous);
    }
    return inNamespace([...objects.values()].sort(byKey), namespace);
  }

  /** Events of a resource after `revision`, or the oldest revision still known when that is too old. */
  eventsAfter(resource: string, revision: number): readonly StoreEvent[] | { readonly oldest: number } {
    const table = this.#table(resource);
    if (revision < table.floor) return { oldest: table.floor + 1 };
    const events = table.history;
    let index = events.length;
    while (index > 0 && (events[index - 1]?.revision ?? 0) > revision) index -= 1;
    return events.slice(index).filter((event) => event.revision <= this.#durable);
  }

  /** Calls `listener` for each durable event of `resource`; returns the function that ends it. */
  subscribe(resource: string, listener: Listener): () => void {
    const listeners = this.#listeners.get(resource) ?? new Set();
    this.#listeners.set(resource, listeners);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** Stores a new state of an object and resolves, durable, with what was stored (resourceVersion set). */
  async put(resource: string, key: string, object: KubeObject): Promise<Stored> {
    return await this.#commit('put', { resource, key, object });
  }

  /** Removes an object; `lastState` is what watchers are told, with the revision of the removal. */
  async remove(resource: string, key: string, lastState: KubeObject): Promise<Stored> {
    return await this.#commit('remove', { resource, key, object: lastState });
  }

  /** Forgets history before now, so that older watches and lists answer 410. */
  forgetHistory(): void {
    this.#floor = this.#revision;
    for (const table of this.#tables.values()) {
      table.history = [];
      table.floor = this.#floor;
    }
  }

  /** Forgets history and writes a snapshot. */
  async compact(): Promise<void> {
    this.forgetHistory();
    await this.#log.compact();
  }

  async #commit(
    change: 'put' | 'remove',
    target: { readonly resource: string; readonly key: string; readonly object: KubeObject },
  ): Promise<Stored> {
    const { resource, key } = target;
    this.#revision += 1;
    const revision = this.#revision;
    const object: KubeObject = {
      ...target.object,
      metadata: { ...target.object.metadata, resourceVersion: String(revision) },
    };
    const current: Stored = { key, revision, object, json: canonicalJson(object) };
    const event = this.#apply(change, resource, current);
    await this.#log.append({ revision, change, resource, key, json: current.json });
    // The log resolves a group in order, so events leave in the order of their revisions.
    this.#durable = revision;
    for (const listener of this.#listeners.get(resource) ?? []) listener(event);
    this.#wake();
    return current;
  }

  #wake(): void {
    if (this.#waiting.length === 0) return;
    const due = this.#waiting.filter((waiter) => waiter.revision <= this.#durable);
    this.#waiting = this.#waiting.filter((waiter) => waiter.revision > this.#durable);
    for (const waiter of due) waiter.resolve();
  }

  #apply(change: 'put' | 'remove', resource: string, current: Stored): StoreEvent {
    const table = this.#table(resource);
    const previous = table.objects.get(current.key);
    table.sorted = undefined;
    if (change === 'put') table.objects.set(current.key, current);
    else table.objects.delete(current.key);
    const kind = change === 'remove' ? 'deleted' : previous === undefined ? 'added' : 'modified';
    const { revision } = current;
    const event: StoreEvent = { revision, resource, change: kind, current, previous, encoded: new Map() };
    table.history.push(event);
    // Cut in slices, not one by one: an array shift per write would cost the whole history each time.
    if (table.history.length >= this.#options.historyLimit * 2) {
      table.history = table.history.slice(-this.#options.historyLimit);
      table.floor = (table.history[0]?.revision ?? revision) - 1;
    }
    return event;
  }

  #replay(record: LogRecord, fromSnapshot: boolean): void {
    const { revision, resource, key, json } = record;
    const parsed: JsonObject = JSON.parse(json);
    const stored: Stored = { key, revision, object: asKubeObject(parsed), json };
    this.#revision = Math.max(this.#revision, revision);
    if (resource === revisionMarker) {
      this.forgetHistory();
      return;
    }
    if (fromSnapshot) this.#table(resource).objects.set(key, stored);
    else this.#apply(record.change, resource, stored);
  }

  /** The whole state as records, closed by a marker that carries the revision itself. */
  *#capture(): Iterable<LogRecord> {
    const revision = this.#revision;
    for (const [resource, table] of this.#tables) {
      for (const stored of table.objects.values()) {
        yield { revision: stored.revision, change: 'put', resource, key: stored.key, json: stored.json };
      }
    }
    yield { revision, change: 'put', resource: revisionMarker, key: '', json: '{}' };
  }

  #table(resource: string): Table {
    const found = this.#tables.get(resource);
    if (found !== undefined) return found;
    const made: Table = { objects: new Map(), history: [], floor: this.#floor, sorted: undefined };
    this.#tables.set(resource, made);
    return made;
  }
}

const revisionMarker = '(revision)';

function inNamespace(objects: readonly Stored[], namespace: string | undefined): readonly Stored[] {
  return namespace === undefined ? objects : objects.filter((stored) => stored.key.startsWith(`${namespace}/`));
}

function byKey(a: Stored, b: Stored): number {
  return a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
}
