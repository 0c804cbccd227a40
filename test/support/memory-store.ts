// An IpamStore in memory with the faults of a real one. `intercept` sees every call before it happens and decides its
// fate: done; refused with a conflict; not done and unavailable; done although the answer was lost; or done later, after
// the caller gave up (a write that was held in a proxy and lands when nobody waits for it any more).
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
  | { readonly kind: 'done'; readonly turns?: number }
  | { readonly kind: 'conflict' }
  | { readonly kind: 'unavailable' }
  | { readonly kind: 'lost-answer' }
  /** The caller sees a timeout now; the call happens when `release` resolves. */
  | { readonly kind: 'held'; readonly release: Promise<void> };

export interface MemoryStoreOptions {
  readonly intercept?: (call: StoreCall) => Fate;
}

export interface MemoryStore extends IpamStore {
  /** Every call since the start, in order. */
  readonly calls: readonly StoreCall[];
  /** Counts calls with these verbs, of one kind if given. */
  count(verbs: readonly Verb[], kind?: StoreCall['kind']): number;
  /** The stored values right now, by name. */
  snapshot(): { readonly blocks: ReadonlyMap<string, Block>; readonly affinities: ReadonlyMap<string, BlockAffinity> };
}

export const WRITES: readonly Verb[] = ['create', 'update', 'remove'];

const DONE: Fate = { kind: 'done' };

/** Makes an empty store. */
export function createMemoryStore(options: MemoryStoreOptions = {}): MemoryStore {
  const calls: StoreCall[] = [];
  const clock = { revision: 0 };
  const intercept = (kind: StoreCall['kind'], verb: Verb, name: string | undefined): Fate => {
    const call = { index: calls.length, kind, verb, name };
    calls.push(call);
    return options.intercept?.(call) ?? DONE;
  };
  const blocks = new Map<string, Revisioned<Block>>();
  const affinities = new Map<string, Revisioned<BlockAffinity>>();
  return {
    blocks: createCollection('blocks', blocks, clock, intercept),
    affinities: createCollection('affinities', affinities, clock, intercept),
    calls,
    count: (verbs, kind) =>
      calls.filter((call) => verbs.includes(call.verb) && (kind === undefined || call.kind === kind)).length,
    snapshot: () => ({ blocks: valuesOf(blocks), affinities: valuesOf(affinities) }),
  };
}

function valuesOf<T>(objects: ReadonlyMap<string, Revisioned<T>>): ReadonlyMap<string, T> {
  return new Map([...objects].map(([name, { value }]) => [name, value]));
}

function createCollection<T>(
  kind: StoreCall['kind'],
  objects: Map<string, Revisioned<T>>,
  clock: { revision: number },
  intercept: (kind: StoreCall['kind'], verb: Verb, name: string | undefined) => Fate,
): Collection<T> {
  const put = (name: string, value: T): Revisioned<T> => {
    const stored = { value: structuredClone(value), revision: String(++clock.revision) };
    objects.set(name, stored);
    return structuredClone(stored);
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
    get: (name, { signal }) => call('get', name, signal, () => structuredClone(objects.get(name))),
    list: ({ signal }) => call('list', undefined, signal, () => structuredClone([...objects.values()])),
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
      const result = act();
      await turns(1);
      return result;
    }
    case 'conflict':
      throw new IpamError('CONFLICT', `${what}: injected conflict`);
    case 'unavailable':
      throw new IpamError('UNAVAILABLE', `${what}: injected outage`);
    case 'lost-answer':
      ignoreFailure(act);
      await turns(1);
      throw new IpamError('UNAVAILABLE', `${what}: injected timeout after commit`);
    case 'held':
      void fate.release.then(() => ignoreFailure(act));
      throw new IpamError('UNAVAILABLE', `${what}: injected timeout before commit`);
  }
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
