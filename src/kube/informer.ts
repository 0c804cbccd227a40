/**
 * All objects of one kind, kept up to date by list and watch: levels are truth, `onChange` is only a hint to look.
 *
 * Life: list in pages → in sync → watch from the list's resourceVersion → the stream ends → watch again from the last event or
 * bookmark; 410 (the server forgot that far back) → list again. Every failure waits with jittered back-off and goes on for ever.
 * The invariant: no failure of the API server ever removes an item; only a DELETED event or a complete newer list does.
 */
import { type Backoff, backoffDelay, type Timers } from '#reconcile';
import type { KubeClient } from './client.ts';
import { KubeError } from './errors.ts';
import { type Invalid, InformerTable, type ParseResult } from './informer-table.ts';
import type { KubeLog } from './log.ts';
import { isKubeObject, type KubeObject, keyOf } from './objects.ts';
import { type ResourceDef, resourcePath } from './resources.ts';
import { parseWatchLine, type WatchEvent } from './watch-event.ts';

export interface InformerOptions<T> {
  readonly client: KubeClient;
  readonly resource: ResourceDef;
  readonly fieldSelector?: string | undefined;
  readonly labelSelector?: string | undefined;
  /** Raw object → value; a failure keeps the last valid value of that object. */
  readonly parse: (object: KubeObject) => ParseResult<T>;
  readonly timers: Timers;
  readonly random: () => number;
  readonly log: KubeLog;
  /** Called after any change of items, invalid or inSync; must be cheap. What it throws is logged and ends nothing. */
  readonly onChange: () => void;
  readonly backoff?: Backoff;
}

const BACKOFF: Backoff = { baseMs: 500, maxMs: 30_000, jitter: 0.5 };
/** The server ends a watch after this and a random part of it again, so that the watches of many nodes do not end together. */
const WATCH_SEC = 300;
/** A watch is silent for at most a minute on a server that sends bookmarks; two missed ones mean a dead connection. */
const SILENCE_MS = 150_000;
/** A watch that ends sooner than this, with nothing said, counts as a failure. */
const SHORTEST_WATCH_MS = 1_000;

/** The watch cannot go on from where it was: list again. */
class Expired extends Error {}

/** The server asked for a pause in an ERROR event, or broke off. */
class WatchFailed extends Error {
  readonly retryAfterSec: number | undefined;

  constructor(message: string, retryAfterSec: number | undefined) {
    super(message);
    this.retryAfterSec = retryAfterSec;
  }
}

export class Informer<T> {
  readonly #options: InformerOptions<T>;
  readonly #table: InformerTable<T>;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #inSync = false;
  #fault: string | undefined;
  #failures = 0;
  #resourceVersion: string | undefined;

  constructor(options: InformerOptions<T>) {
    this.#options = options;
    this.#table = new InformerTable(options.parse);
  }

  /** True once every object has been listed; never false again. */
  get inSync(): boolean {
    return this.#inSync;
  }

  /** What is known, by name or `namespace/name`. The same Map at all times: do not keep it across changes. */
  get items(): ReadonlyMap<string, T> {
    return this.#table.items;
  }

  /** Objects whose present form is invalid, and why; their last valid value, if any, is still in `items`. */
  get invalid(): ReadonlyMap<string, Invalid> {
    return this.#table.invalid;
  }

  /** Why the last exchange failed; undefined while all is well. Items may be out of date meanwhile. */
  get fault(): string | undefined {
    return this.#fault;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Ends the watch; resolves when nothing runs any more. Items stay. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        this.#resourceVersion ??= await this.#list(signal);
        await this.#watch(this.#resourceVersion, signal);
      } catch (error) {
        if (!signal.aborted) await this.#failed(error, signal);
      }
    }
  }

  async #list(signal: AbortSignal): Promise<string> {
    const { client, resource, fieldSelector, labelSelector } = this.#options;
    const listed = new Set<string>();
    let resourceVersion = '';
    let changed = !this.#inSync;
    try {
      for await (const page of client.pages(resource, { fieldSelector, labelSelector, signal })) {
        changed = this.#putPage(page.items, listed) || changed;
        resourceVersion = page.resourceVersion;
      }
      changed = this.#table.retain(listed) || changed;
      this.#inSync = true;
    } finally {
      // also when a later page failed: what the first pages brought is news that the next list would not repeat
      if (changed) this.#notify();
    }
    return resourceVersion;
  }

  #putPage(items: readonly unknown[], listed: Set<string>): boolean {
    let changed = false;
    for (const item of items) {
      if (!isKubeObject(item)) {
        throw new KubeError(`list of ${this.#options.resource.plural}: an item is no object`, { code: 'API_PROTOCOL' });
      }
      listed.add(keyOf(item));
      changed = this.#table.put(item) || changed;
    }
    return changed;
  }

  async #watch(from: string, signal: AbortSignal): Promise<void> {
    const { client, resource, fieldSelector, labelSelector, random, timers } = this.#options;
    const query = {
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: from,
      timeoutSeconds: String(Math.ceil(WATCH_SEC * (1 + random()))),
      fieldSelector,
      labelSelector,
    };
    const startedMs = timers.now();
    let heard = false;
    for await (const lines of client.streamLines({ path: resourcePath(resource), query, signal }, SILENCE_MS)) {
      this.#connected();
      this.#apply(lines);
      heard ||= lines.length > 0;
      if (heard) this.#failures = 0;
    }
    if (heard || timers.now() - startedMs >= SHORTEST_WATCH_MS) this.#failures = 0;
    else throw new WatchFailed('the watch ended at once', undefined);
  }

  /** Takes in the events of one chunk, then tells once; an event that ends the watch throws after those before it. */
  #apply(lines: readonly string[]): void {
    let changed = false;
    try {
      for (const line of lines) changed = this.#applyEvent(parseWatchLine(line)) || changed;
    } finally {
      if (changed) this.#notify();
    }
  }

  #applyEvent(event: WatchEvent): boolean {
    switch (event.kind) {
      case 'put':
        this.#resourceVersion = event.resourceVersion ?? this.#resourceVersion;
        return this.#table.put(event.object);
      case 'remove':
        this.#resourceVersion = event.resourceVersion ?? this.#resourceVersion;
        return this.#table.remove(keyOf(event.object));
      case 'bookmark':
        this.#resourceVersion = event.resourceVersion;
        return false;
      case 'error':
        if (event.status === 410) throw new Expired(event.message);
        throw new WatchFailed(`watch error ${event.status}: ${event.message}`, event.retryAfterSec);
      case 'garbage':
        // an event was lost with the line, so only a list can tell what is true
        throw new Expired(`unreadable watch event: ${event.why}`);
    }
  }

  /** The back-off starts anew only when a watch has said something or lasted, not when one was merely accepted. */
  #connected(): void {
    if (this.#fault === undefined) return;
    this.#fault = undefined;
    this.#options.log.info('watch recovered', { resource: this.#options.resource.plural });
  }

  async #failed(error: unknown, signal: AbortSignal): Promise<void> {
    const { log, resource, random, backoff = BACKOFF } = this.#options;
    const reason = error instanceof Error ? error.message : String(error);
    const expired = error instanceof Expired || (error instanceof KubeError && error.status === 410);
    if (expired) this.#resourceVersion = undefined;
    this.#failures += 1;
    if (expired && this.#failures === 1) {
      log.debug('watch expired, listing again', { resource: resource.plural, reason });
      return;
    }
    const first = this.#fault === undefined;
    this.#fault = reason;
    const pauseMs = retryAfterMs(error) ?? 0;
    const delayMs = Math.max(pauseMs, backoffDelay(this.#failures, backoff, random));
    const fields = { resource: resource.plural, reason, attempt: this.#failures, delayMs: Math.round(delayMs) };
    if (first) log.warn('watch failed, items are kept', fields);
    else log.debug('watch failed again', fields);
    await this.#sleep(delayMs, signal);
  }

  async #sleep(delayMs: number, signal: AbortSignal): Promise<void> {
    const { timers } = this.#options;
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        timers.clear(handle);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      const handle = timers.set(wake, delayMs);
      signal.addEventListener('abort', wake);
    });
  }

  #notify(): void {
    try {
      this.#options.onChange();
    } catch (err) {
      this.#options.log.error('a listener of an informer failed', { resource: this.#options.resource.plural, err });
    }
  }
}

function retryAfterMs(error: unknown): number | undefined {
  const seconds = error instanceof KubeError || error instanceof WatchFailed ? error.retryAfterSec : undefined;
  return seconds === undefined ? undefined : seconds * 1000;
}
