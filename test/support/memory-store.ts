// An IpamStore in memory with the faults of a real one. `intercept` sees every call before it happens and decides its
// fate: done; refused with a conflict; not done and unavailable; done although the answer was lost; done later, after the
// caller gave up (a write that was held in a proxy and lands when nobody waits for it any more); or, for a caller that
// was killed, never answered at all. Several clients may share one store, each with its own faults.
//
// Latency is a turn of the event loop or more (`turns`), so calls of concurrent callers interleave.

import { type BlockAffinity, type Block, type Collection, IpamError, type IpamStore, type Revisioned } from '#ipam';

export type Verb = 'get' | 'list' | 'create' | 'update' | 'remove';

export interface StoreCall {
  /** Counts all calls of the store from 0. */
  readonly index: number;
  readonly kind: 'blocks' | 'affinities';
  readonly verb: Verb;
  readonly name: string | undefined;
}

export type Fate =
  /** Happens after some turns of the event loop, and after `gate` if given. */
  | { readonly kind: 'done'; readonly turns?: number; readonly gate?: Promise<void> }
  | { readonly kind: 'conflict' }
  /** The object is there and cannot be understood. */
  | { readonly kind: 'corrupt' }
  | { readonly kind: 'unavailable' }
  | { readonly kind: 'lost-answer' }
  /** The caller sees a timeout now; the call happens when `release` resolves. */
  | { readonly kind: 'held'; readonly release: Promise<void> }
  /** The caller never hears of it again; the call happens now, never, or when the promise resolves. */
  | { readonly kind: 'silent'; readonly happens: 'now' | 'never' | Promise<void> };

export interface MemoryStoreOptions {
  readonly intercept?: (call: StoreCall) => Fate;
}

export interface MemoryStore extends IpamStore {
  /** Every call since the start, in order. */
  readonly calls: readonly StoreCall[];
  /** Counts calls with these verbs, of one kind if given. */
  count(verbs: readonly Verb[], kind?: StoreCall['kind']): number;
  /** Another client of the same objects, with faults of its own; its calls are not counted here. */
  client(intercept: (call: StoreCall) => Fate): MemoryStore;
  /** The stored values right now, by name. */
  snapshot(): { readonly blocks: ReadonlyMap<string, Block>; readonly affinities: ReadonlyMap<string, BlockAffinity> };
}

export const WRITES: readonly Verb[] = ['create', 'update', 'remove'];

const DONE: Fate = { kind: 'done' };

interface Objects {
  readonly blocks: Map<string, Revisioned<Block>>;
  readonly affinities: Map<string, Revisioned<BlockAffinity>>;
  readonly clock: { revision: number };
}

/** Makes an empty store. */
export function createMemoryStore(options: MemoryStoreOptions = {}): MemoryStore {
  return createClient({ blocks: new Map(), affinities: new Map(), clock: { revision: 0 } }, options);
}

function createClient(objects: Objects, options: MemoryStoreOptions): MemoryStore {
  const calls: StoreCall[] = [];
  const intercept = (kind: StoreCall['kind'], verb: Verb, name: string | undefined): Fate => {
    const call = { index: calls.length, kind, verb, name };
    calls.push(call);
    return options.intercept?.(call) ?? DONE;
  };
  return {
    blocks: createCollection({ kind: 'blocks', objects: objects.blocks, clock: objects.clock, intercept }),
    affinities: createCollection({ kind: 'affinities', objects: objects.affinities, clock: objects.clock, intercept }),
    calls,
    count: (verbs, kind) =>
      calls.filter((call) => verbs.includes(call.verb) && (kind === undefined || call.kind === kind)).length,
    client: (other) => createClient(objects, { intercept: other }),
    snapshot: () => ({ blocks: valuesOf(objects.blocks), affinities: valuesOf(objects.affinities) }),
  };
}

function valuesOf<T>(objects: ReadonlyMap<string, Revisioned<T>>): ReadonlyMap<string, T> {
  return new Map([...objects].map(([name, { value }]) => [name, value]));
}

interface CollectionParts<T> {
  readonly kind: StoreCall['kind'];
  readonly objects: Map<string, Revisioned<T>>;
  readonly clock: { revision: number };
  readonly intercept: (kind: StoreCall['kind'], verb: Verb, name: string | undefined) => Fate;
}

function createCollection<T>({ kind, objects, clock, intercept }: CollectionParts<T>): Collection<T> {
  const put = (name: string, value: T): Revisioned<T> => {
    const stored = { value: deepFreeze(structuredClone(value)), revision: String(++clock.revision) };
    objects.set(name, stored);
    return stored;
  };
  const current = (name: string, revision: string): Revisioned<T> => {
    const found = objects.get(name);
    if (found === undefined) {
      throw new IpamError('NOT_FOUND', `${kind} ${name}: absent`);
    }
    if (found.revision !== revision) {
      throw new IpamError('CONFLICT', `${kind} ${name}: revision is ${found.revision}, expected ${revision}`);
    }
    return found;
  };
  const call = <R>(verb: Verb, name: string | undefined, signal: AbortSignal, act: () => R): Promise<R> =>
    perform({ fate: intercept(kind, verb, name), what: `${verb} ${kind} ${name ?? ''}`, signal, act });

  return {
    get: (name, { signal }) => call('get', name, signal, () => objects.get(name)),
    list: ({ signal }) => call('list', undefined, signal, () => [...objects.values()]),
    create: (name, value, { signal }) =>
      call('create', name, signal, () => {
        if (objects.has(name)) {
          throw new IpamError('CONFLICT', `${kind} ${name}: exists already`);
        }
        return put(name, value);
      }),
    update: (name, value, revision, { signal }) =>
      call('update', name, signal, () => {
        current(name, revision);
        return put(name, value);
      }),
    remove: (name, revision, { signal }) =>
      call('remove', name, signal, () => {
        current(name, revision);
        objects.delete(name);
      }),
  };
}

interface Performance<R> {
  readonly fate: Fate;
  readonly what: string;
  readonly signal: AbortSignal;
  readonly act: () => R;
}

async function perform<R>({ fate, what, signal, act }: Performance<R>): Promise<R> {
  await turns(fate.kind === 'done' ? (fate.turns ?? 1) : 1);
  if (signal.aborted) {
    throw new IpamError('ABORTED', `${what}: aborted`, signal.reason);
  }
  switch (fate.kind) {
    case 'done': {
      await fate.gate;
      const result = act();
      await turns(1);
      return result;
    }
    case 'conflict':
      throw new IpamError('CONFLICT', `${what}: injected conflict`);
    case 'corrupt':
      throw new IpamError('CORRUPT', `${what}: injected nonsense`);
    case 'unavailable':
      throw new IpamError('UNAVAILABLE', `${what}: injected outage`);
    case 'lost-answer':
      ignoreFailure(act);
      await turns(1);
      throw new IpamError('UNAVAILABLE', `${what}: injected timeout after commit`);
    case 'held':
      void fate.release.then(() => ignoreFailure(act));
      throw new IpamError('UNAVAILABLE', `${what}: injected timeout before commit`);
    case 'silent':
      if (fate.happens === 'now') {
        ignoreFailure(act);
      } else if (fate.happens !== 'never') {
        void fate.happens.then(() => ignoreFailure(act));
      }
      return await new Promise<never>(() => undefined);
  }
}

/** Stored values are shared with every reader; whoever tries to change one is told at once. */
function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(deepFreeze);
  }
  return value;
}

function ignoreFailure(act: () => unknown): void {
  try {
    act();
  } catch {
    // Nobody waits for this answer; whether it was a conflict does not matter.
  }
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) {
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
  }
}
