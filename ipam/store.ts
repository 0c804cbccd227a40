// The port through which IPAM reaches durable state. The store is any place with compare-and-swap: the Kubernetes API
// through src/kube, a Map in tests. What a store must keep is in store.contract.ts, which every implementation runs.
//
// Invariant every caller relies on: a write that was given a revision happens only if the object still has that revision,
// and a write is acknowledged only when it is durable.

import type { BlockAffinity } from './affinity.ts';
import type { Block } from './block.ts';

export interface Revisioned<T> {
  readonly value: T;
  /** Opaque; changes with every write of the object. */
  readonly revision: string;
}

export interface CallOptions {
  readonly signal: AbortSignal;
}

/**
 * Objects of one kind, by name. Failures are IpamError:
 * CONFLICT (revision is stale; on create: the name is taken), NOT_FOUND (update or remove of an absent object),
 * UNAVAILABLE (nothing certain: the write may have happened), CORRUPT (get of an object that cannot be understood).
 */
export interface Collection<T> {
  /** The object, or undefined when absent. Never older than a write acknowledged before the call. */
  get(name: string, options: CallOptions): Promise<Revisioned<T> | undefined>;
  /** All objects that can be understood, at one revision of the whole; never older than a write acknowledged before the call. */
  list(options: CallOptions): Promise<readonly Revisioned<T>[]>;
  create(name: string, value: T, options: CallOptions): Promise<Revisioned<T>>;
  update(name: string, value: T, revision: string, options: CallOptions): Promise<Revisioned<T>>;
  /** Deletes the object if it still has this revision. */
  remove(name: string, revision: string, options: CallOptions): Promise<void>;
}

export interface IpamStore {
  readonly blocks: Collection<Block>;
  readonly affinities: Collection<BlockAffinity>;
}
