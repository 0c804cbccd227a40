// Allocators for tests: one call makes a node's allocator on a store, with virtual sleep, a clock that only moves when it
// is read, and chance from a seed. And the laws every state of the store must keep, whatever happened before.

import assert from 'node:assert/strict';
import {
  type Allocator,
  type Block,
  blockFaults,
  createAllocator,
  type IpamSettings,
  type IpamStore,
  type Pool,
} from '#ipam';
import { nthAddress, overlaps, parsePrefix } from '#net';
import type { MemoryStore } from './memory-store.ts';

export const NEVER: AbortSignal = new AbortController().signal;

/** Mulberry32: a small random generator, so that a printed seed repeats a run. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function pool(name: string, cidr: string, blockSize: number, deviation: Partial<Pool> = {}): Pool {
  const defaults = { disabled: false, natOutgoing: false, selectsNode: true, automatic: true, workloads: true };
  return { name, cidr: parsePrefix(cidr), blockSize, ...defaults, ...deviation };
}

export interface TestNode {
  readonly node: string;
  readonly store: IpamStore;
  readonly pools: readonly Pool[] | (() => readonly Pool[]);
  readonly settings?: Partial<IpamSettings> | (() => Partial<IpamSettings>);
  readonly random?: () => number;
  readonly now?: () => number;
}

/** A node's allocator that has not recovered yet. */
export function allocatorOf({ node, store, pools, settings = {}, random, now }: TestNode): Allocator {
  let tick = Date.parse('2026-01-01T00:00:00Z');
  return createAllocator({
    node,
    store,
    pools: typeof pools === 'function' ? pools : () => pools,
    settings: typeof settings === 'function' ? settings : () => settings,
    now: now ?? (() => tick++),
    random: random ?? createRandom(1),
    sleep: () =>
      new Promise((resolve) => {
        setImmediate(resolve);
      }),
    log: { debug: () => undefined, info: () => undefined, warn: () => undefined },
  });
}

/** A node's allocator, ready. */
export async function startNode(options: TestNode): Promise<Allocator> {
  const allocator = allocatorOf(options);
  await allocator.recover(NEVER);
  return allocator;
}

/** Every address held in the store: handle → addresses. */
export function heldInStore(store: MemoryStore): ReadonlyMap<string, readonly string[]> {
  const held = new Map<string, string[]>();
  for (const block of store.snapshot().blocks.values()) {
    for (const [ordinal, index] of block.allocations.entries()) {
      const handle = index === null ? undefined : block.attributes[index]?.handle;
      if (handle !== undefined) {
        held.set(handle, [...(held.get(handle) ?? []), nthAddress(block.cidr, ordinal)]);
      }
    }
  }
  return held;
}

/** The laws of the store: sound blocks that share no address, and never two addresses of a family for one handle. */
export function assertLaws(store: MemoryStore): void {
  const blocks: readonly Block[] = [...store.snapshot().blocks.values()];
  for (const [index, block] of blocks.entries()) {
    assert.deepEqual(blockFaults(block), [], `faults of ${block.cidr}`);
    for (const other of blocks.slice(index + 1)) {
      assert.ok(!overlaps(block.cidr, other.cidr), `${block.cidr} and ${other.cidr} share addresses`);
    }
  }
  for (const [handle, addresses] of heldInStore(store)) {
    for (const family of [4, 6]) {
      const ofFamily = addresses.filter((ip) => ip.includes(':') === (family === 6));
      assert.ok(ofFamily.length <= 1, `${handle} holds ${ofFamily.join(' and ')}`);
    }
  }
}

/** After everybody recovered: each owned block has a confirmed affinity of its owner, and each affinity a block. */
export function assertAffinitiesMatch(store: MemoryStore): void {
  const { blocks, affinities } = store.snapshot();
  const owned = [...blocks.values()].filter((block) => block.affinity !== undefined);
  assert.deepEqual(
    [...affinities.values()].map(({ node, cidr, state }) => `${node} ${cidr} ${state}`).toSorted(),
    owned.map((block) => `${block.affinity} ${block.cidr} confirmed`).toSorted(),
  );
}
