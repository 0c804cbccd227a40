/**
 * What every verb works with: the store, the kinds, and the world handed in (clock, randomness), plus the address of
 * the object a request is about.
 */
import { objectKey } from './objects.ts';
import { type Registry, type Resource, storageName } from './registry.ts';
import type { Store, Stored } from './store.ts';

export interface Engine {
  readonly store: Store;
  readonly registry: Registry;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** In [0, 1). */
  readonly random: () => number;
  readonly uuid: () => string;
}

/** What a request addresses; `name` is undefined for a collection. */
export interface Target {
  readonly resource: Resource;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
}

/** The stored object a request addresses, if it is there. */
export function lookUp(engine: Engine, target: Target): Stored | undefined {
  return engine.store.get(storageName(target.resource), objectKey(target.namespace, target.name ?? ''));
}
