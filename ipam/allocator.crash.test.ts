// The agent dies at every write of a busy life: before the write, after it, or with the write still on its way, to land in
// the middle of the next life. The next life recovers and goes on. Whatever it was: no handle ever holds two addresses of
// a family, what was acknowledged is still there, and after the last release nothing is held.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assertAffinitiesMatch, assertLaws, heldInStore, NEVER, pool, startNode } from '../test/support/ipam-node.ts';
import {
  createMemoryStore,
  type Fate,
  type MemoryStore,
  type StoreCall,
  WRITES,
} from '../test/support/memory-store.ts';
import type { Allocator } from './allocator.ts';
import type { IpamStore } from './store.ts';

const POOLS = [pool('web', '10.9.0.0/28', 30), pool('web6', 'fd00:9::/120', 126)];
const HANDLES = ['net.0', 'net.1', 'net.2', 'net.3', 'net.4', 'net.5'];
const DUAL = [4, 6] as const;
/** When the write that was on its way lands; in the last case the next life only releases, as after a lost pod. */
const LANDINGS = ['recovery', 'requests', 'releases alone'] as const;

/** What a life was told by its allocator before it died. */
interface Diary {
  readonly acknowledged: Map<string, string>;
  /** Handles whose release was asked for: they may or may not hold addresses. */
  readonly releasing: Set<string>;
}

function assignTo(allocator: Allocator, handle: string): Promise<string> {
  return allocator
    .assign({ handle, families: DUAL, attributes: {}, signal: NEVER })
    .then(({ addresses }) => addresses.map(({ ip }) => ip).join());
}

/** Claims, a second block, releases, a block given back, and requests again. */
async function busyLife(store: IpamStore, diary: Diary): Promise<void> {
  const allocator = await startNode({ node: 'a', store, pools: POOLS });
  const remember = async (handle: string): Promise<void> => {
    const ips = await assignTo(allocator, handle);
    diary.acknowledged.set(handle, ips);
  };
  const forget = async (handle: string): Promise<void> => {
    diary.releasing.add(handle);
    await allocator.release(handle, NEVER);
  };
  await allocator.ensureBlocks(DUAL, NEVER);
  await Promise.all(['net.0', 'net.1'].map(remember));
  await Promise.all(['net.2', 'net.3', 'net.4'].map(remember));
  await forget('net.4');
  await forget('net.1');
  await allocator.releaseEmptyBlocks(NEVER);
  await remember('net.5');
}

/** Another node's life on the same store, so that blocks, races for them and borrowing are there too. */
async function neighbour(store: MemoryStore): Promise<void> {
  const allocator = await startNode({ node: 'b', store, pools: POOLS });
  await Promise.all([...Array(6).keys()].map((index) => assignTo(allocator, `net.b${index}`)));
}

async function countWrites(): Promise<number> {
  const store = createMemoryStore();
  await neighbour(store);
  const client = store.client(() => ({ kind: 'done' }));
  await busyLife(client, { acknowledged: new Map(), releasing: new Set() });
  return client.count(WRITES);
}

type Ending = 'before the write' | 'after the write' | 'with the write on its way';

interface Death {
  readonly client: MemoryStore;
  readonly died: Promise<void>;
  /** Lets the write that was on its way land. */
  readonly land: () => void;
}

function dieAt(store: MemoryStore, write: number, ending: Ending): Death {
  let seen = 0;
  let die = (): void => undefined;
  let land = (): void => undefined;
  const died = new Promise<void>((resolve) => {
    die = resolve;
  });
  const landing = new Promise<void>((resolve) => {
    land = resolve;
  });
  const last = { 'before the write': 'never', 'after the write': 'now', 'with the write on its way': landing } as const;
  const client = store.client(({ verb }: StoreCall): Fate => {
    const isWrite = WRITES.includes(verb);
    const isLast = isWrite && seen === write;
    seen += isWrite && seen <= write ? 1 : 0;
    if (seen <= write) {
      return { kind: 'done' };
    }
    setImmediate(() => setImmediate(die));
    return { kind: 'silent', happens: isLast ? last[ending] : 'never' };
  });
  return { client, died, land: () => land() };
}

async function crashAndRecover(write: number, ending: Ending, landAfter: (typeof LANDINGS)[number]): Promise<void> {
  const store = createMemoryStore();
  await neighbour(store);
  const diary: Diary = { acknowledged: new Map(), releasing: new Set() };
  const { client, died, land } = dieAt(store, write, ending);
  await Promise.race([busyLife(client, diary), died]);

  const next = await startNode({ node: 'a', store, pools: POOLS });
  assertLaws(store);
  if (landAfter === 'recovery') {
    land();
    await died;
  }
  for (const handle of landAfter === 'releases alone' ? [] : HANDLES) {
    const ips = await assignTo(next, handle);
    if (!diary.releasing.has(handle)) {
      assert.equal(ips, diary.acknowledged.get(handle) ?? ips, `${handle} lost its acknowledged addresses`);
    }
  }
  if (landAfter === 'requests') {
    land();
    await died;
    assertLaws(store);
  }
  await Promise.all(HANDLES.map((handle) => next.release(handle, NEVER)));
  land();
  await died;
  assert.deepEqual(
    [...heldInStore(store).keys()].filter((handle) => !handle.startsWith('net.b')),
    [],
    'addresses nobody can release',
  );
  await next.recover(NEVER);
  assertLaws(store);
  assertAffinitiesMatch(store);
}

describe('a crash at every write of a busy life', async () => {
  const writes = await countWrites();
  const endings: readonly Ending[] = ['before the write', 'after the write', 'with the write on its way'];
  for (const ending of endings) {
    test(`${ending} (${writes} writes): the next life loses nothing and doubles nothing`, async () => {
      for (let write = 0; write < writes; write += 1) {
        for (const landAfter of ending === 'with the write on its way' ? LANDINGS : LANDINGS.slice(0, 1)) {
          await crashAndRecover(write, ending, landAfter).catch((error: unknown) => {
            throw new Error(`write ${write} of ${writes}, ${ending}, landing after the ${landAfter}`, { cause: error });
          });
        }
      }
    });
  }
});
