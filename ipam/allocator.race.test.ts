// Fifty nodes claim, assign and release at once on a store that invents conflicts, loses answers and goes away now and
// then. Every run is given by its seed; a failure prints it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  assertAffinitiesMatch,
  assertLaws,
  createRandom,
  heldInStore,
  NEVER,
  pool,
  startNode,
} from '../test/support/ipam-node.ts';
import { createMemoryStore, type Fate, type MemoryStore } from '../test/support/memory-store.ts';
import type { Allocator } from './allocator.ts';
import { isIpamError } from './errors.ts';

const NODES = 50;
const HANDLES = 6;
const SEEDS = [1, 2, 3];

interface Race {
  readonly seed: number;
  readonly random: () => number;
  readonly store: MemoryStore;
  /** What was acknowledged and not released: handle → addresses. */
  readonly live: Map<string, readonly string[]>;
}

function createRace(seed: number): Race {
  const random = createRandom(seed);
  const faults = { on: true };
  const intercept = (): Fate => {
    const chance = faults.on ? random() : 1;
    if (chance < 0.04) {
      return { kind: 'conflict' };
    }
    if (chance < 0.08) {
      return { kind: 'lost-answer' };
    }
    if (chance < 0.1) {
      return { kind: 'unavailable' };
    }
    return { kind: 'done', turns: 1 + Math.floor(random() * 3) };
  };
  return { seed, random, store: createMemoryStore({ intercept }), live: new Map() };
}

/** Tries until the store let it through, as kubelet does. */
async function insist<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isIpamError(error) || !error.retryable) {
        throw error;
      }
    }
  }
}

async function liveOnNode(allocator: Allocator, node: string, race: Race): Promise<void> {
  await insist(() => allocator.recover(NEVER));
  await Promise.all(
    [...Array(HANDLES).keys()].map(async (index) => {
      const handle = `net.${node}-${index}`;
      const options = { handle, families: [4, 6] as const, attributes: {}, signal: NEVER };
      const { addresses } = await insist(() => allocator.assign(options));
      race.live.set(
        handle,
        addresses.map(({ ip }) => ip),
      );
      if (race.random() < 0.3) {
        race.live.delete(handle);
        await insist(() => allocator.release(handle, NEVER));
      }
    }),
  );
  await insist(() => allocator.releaseEmptyBlocks(NEVER));
}

for (const seed of SEEDS) {
  test(`${NODES} nodes race for blocks and addresses of two pools: no address twice, none lost (seed ${seed})`, async (t) => {
    const race = createRace(seed);
    // 512 IPv4 addresses in 32 blocks for 50 nodes with 6 requests each: some nodes must borrow.
    const pools = [pool('web', '10.9.0.0/23', 28), pool('web6', 'fd00:9::/64', 124)];
    const names = Array.from({ length: NODES }, (_, index) => `node-${index}`);
    const start = (node: string): Promise<Allocator> =>
      insist(() => startNode({ node, store: race.store, pools, random: race.random }));
    const allocators = await Promise.all(names.map(start));
    await Promise.all(allocators.map((allocator, index) => liveOnNode(allocator, names[index] ?? '', race)));

    const held = new Map([...heldInStore(race.store)].map(([handle, ips]) => [handle, ips.toSorted()]));
    const live = new Map([...race.live].map(([handle, ips]) => [handle, ips.toSorted()]));
    assert.deepEqual(held, live, 'the store holds exactly what was acknowledged and not released');
    assert.equal(new Set([...live.values()].flat()).size, live.size * 2, 'every address is held once');
    assertLaws(race.store);
    const borrowed = allocators.flatMap((allocator) => allocator.blocks()).filter(({ affine }) => !affine).length;
    t.diagnostic(`${live.size} handles live, ${borrowed} blocks borrowed from, ${race.store.calls.length} store calls`);

    for (const handle of live.keys()) {
      const index = names.indexOf(handle.slice('net.'.length, handle.lastIndexOf('-')));
      await insist(() => allocators[index]?.release(handle, NEVER) ?? Promise.resolve([]));
    }
    assert.equal(heldInStore(race.store).size, 0, 'nothing is left after the last release');
    await Promise.all(allocators.map((allocator) => insist(() => allocator.recover(NEVER))));
    assertAffinitiesMatch(race.store);
  });
}

test('of many nodes that race for the last address of a pool exactly one gets it', async () => {
  for (const seed of [11, 12, 13, 14, 15]) {
    const { store, random } = createRace(seed);
    const pools = [pool('one', '10.9.0.0/32', 32)];
    const outcomes = await Promise.all(
      Array.from({ length: 30 }, async (_, index) => {
        const allocator = await insist(() => startNode({ node: `node-${index}`, store, pools, random }));
        const options = { handle: `net.${index}`, families: [4] as const, attributes: {}, signal: NEVER };
        return await insist(() => allocator.assign(options)).catch((error: unknown) => {
          assert.ok(isIpamError(error, 'POOL_EXHAUSTED'), `seed ${seed}: ${String(error)}`);
          return undefined;
        });
      }),
    );
    assert.equal(outcomes.filter((outcome) => outcome !== undefined).length, 1, `seed ${seed}`);
    assert.equal(heldInStore(store).size, 1, `seed ${seed}`);
    assertLaws(store);
  }
});
