import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parsePrefix } from '#net';
import {
  allocatorOf,
  assertAffinitiesMatch,
  assertLaws,
  heldInStore,
  NEVER,
  pool,
  startNode,
} from '../test/support/ipam-node.ts';
import { createMemoryStore, type Fate, type StoreCall, WRITES } from '../test/support/memory-store.ts';
import type { Allocator, Assignment } from './allocator.ts';
import { newBlock } from './block.ts';
import { isIpamError } from './errors.ts';
import { affinityName, blockName } from './names.ts';

const V4 = pool('web', '10.64.0.0/16', 26);
const V6 = pool('web6', 'fd00:64::/48', 122);
const DUAL = [4, 6] as const;

function assignTo(allocator: Allocator, handle: string, families: readonly (4 | 6)[] = DUAL): Promise<Assignment> {
  return allocator.assign({ handle, families, attributes: { pod: handle, namespace: 'default' }, signal: NEVER });
}

function ipsOf(assignment: Assignment): readonly string[] {
  return assignment.addresses.map(({ ip }) => ip);
}

async function rejectsWith(code: string, promise: Promise<unknown>, message?: RegExp): Promise<void> {
  await assert.rejects(promise, (error: unknown) => {
    assert.ok(isIpamError(error), String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message ?? /./);
    return true;
  });
}

function createGate(): readonly [Promise<void>, () => void] {
  let open = (): void => undefined;
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  return [gate, () => open()];
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}

describe('assigning', () => {
  test('a request gets one durable address per family, inside a confirmed block of the node', async () => {
    const store = createMemoryStore();
    const a = await startNode({ node: 'a', store, pools: [V4, V6] });
    const assignment = await assignTo(a, 'net.one');
    assert.deepEqual(heldInStore(store).get('net.one'), ipsOf(assignment));
    assert.deepEqual(
      a.blocks().map(({ cidr, used, free, affine }) => ({ cidr, used, free, affine })),
      assignment.addresses.map(({ block }) => ({ cidr: block, used: 1, free: 63, affine: true })),
    );
    assertLaws(store);
    assertAffinitiesMatch(store);
  });

  test('the address carries what the caller says, and the node', async () => {
    const a = await startNode({ node: 'a', store: createMemoryStore(), pools: [V4] });
    await assignTo(a, 'net.one', [4]);
    const [held] = a.allocations();
    assert.equal(held?.handle, 'net.one');
    assert.deepEqual(
      { ...held?.attributes, timestamp: '' },
      { pod: 'net.one', namespace: 'default', node: 'a', timestamp: '' },
    );
  });

  test('on a warm node a dual-stack request is one write per family and no read', async () => {
    const store = createMemoryStore();
    const a = await startNode({ node: 'a', store, pools: [V4, V6] });
    await a.ensureBlocks(DUAL, NEVER);
    const before = store.calls.length;
    await assignTo(a, 'net.one');
    assert.deepEqual(
      store.calls.slice(before).map(({ verb, kind }) => `${verb} ${kind}`),
      ['update blocks', 'update blocks'],
    );
  });

  test('a burst of 110 dual-stack requests shares writes: fewer than 20', async (t) => {
    const store = createMemoryStore();
    const a = await startNode({ node: 'a', store, pools: [V4, V6] });
    await a.ensureBlocks(DUAL, NEVER);
    const before = store.count(WRITES);
    const burst = await Promise.all(Array.from({ length: 110 }, (_, index) => assignTo(a, `net.${index}`)));
    const writes = store.count(WRITES) - before;
    t.diagnostic(`110 dual-stack requests: ${writes} writes`);
    assert.equal(new Set(burst.flatMap(ipsOf)).size, 220);
    assert.ok(writes < 20, `${writes} writes`);
    assertLaws(store);
  });

  test('a burst that trickles in shares the write that waits behind the one in flight', async (t) => {
    const store = createMemoryStore({ intercept: () => ({ kind: 'done', turns: 20 }) });
    const a = await startNode({ node: 'a', store, pools: [V4] });
    await a.ensureBlocks([4], NEVER);
    const before = store.count(WRITES);
    const burst: Promise<Assignment>[] = [];
    for (let index = 0; index < 60; index += 1) {
      burst.push(assignTo(a, `net.${index}`, [4]));
      await turns(1);
    }
    await Promise.all(burst);
    const writes = store.count(WRITES) - before;
    t.diagnostic(`60 requests over 60 turns, a write takes 20: ${writes} writes`);
    assert.ok(writes <= 6, `${writes} writes`);
  });

  test('asking again with the same handle gives the same addresses and writes nothing', async () => {
    const store = createMemoryStore();
    const a = await startNode({ node: 'a', store, pools: [V4, V6] });
    const first = await assignTo(a, 'net.one');
    const before = store.count(WRITES);
    assert.deepEqual(await assignTo(a, 'net.one'), first);
    assert.equal(store.count(WRITES), before);
  });

  test('the same handle asked for many times at once gets one address of each family', async () => {
    const store = createMemoryStore();
    const a = await startNode({ node: 'a', store, pools: [V4, V6] });
    const all = await Promise.all(Array.from({ length: 20 }, () => assignTo(a, 'net.one')));
    assert.equal(new Set(all.map((one) => ipsOf(one).join())).size, 1);
    assertLaws(store);
  });

  test('the same handle asked for twice around a release gets one address, though two could be had', async () => {
    for (const node of ['a', 'b', 'c', 'd', 'e', 'f']) {
      const store = createMemoryStore();
      const a = await startNode({ node, store, pools: [pool('p', '10.9.0.0/31', 32)] });
      await assignTo(a, 'net.first', [4]);
      const [one, , two] = await Promise.all([
        assignTo(a, 'net.one', [4]),
        turns(2).then(() => a.release('net.first', NEVER)), // while the first request claims a block
        turns(5).then(() => assignTo(a, 'net.one', [4])),
      ]);
      assert.deepEqual(one, two);
      assertLaws(store);
    }
  });

  test('a handle whose address was released by hand gets a new one, not the one it had', async () => {
    const store = createMemoryStore();
    const pools = [pool('p', '10.9.0.0/31', 31)];
    const a = await startNode({ node: 'a', store, pools });
    const [had] = ipsOf(await assignTo(a, 'net.one', [4]));
    const other = await startNode({ node: 'a', store, pools });
    await other.release('net.one', NEVER);
    await assignTo(other, 'net.two', [4]);
    await assignTo(other, 'net.three', [4]);
    await other.release('net.two', NEVER);
    const [has] = ipsOf(await assignTo(a, 'net.one', [4]));
    assert.notEqual(has, had);
    assertLaws(store);
  });

  test('a handle that holds one family and asks for two gets the missing one', async () => {
    const a = await startNode({ node: 'a', store: createMemoryStore(), pools: [V4, V6] });
    const [v4] = ipsOf(await assignTo(a, 'net.one', [4]));
    assert.equal(ipsOf(await assignTo(a, 'net.one'))[0], v4);
  });

  test('when one family cannot be had, the other is given back and the error is that of the missing one', async () => {
    const store = createMemoryStore();
    const a = await startNode({ node: 'a', store, pools: [V4] });
    await rejectsWith('NO_POOL', assignTo(a, 'net.one'), /no IPv6 pool, expected at least one/);
    assert.equal(heldInStore(store).size, 0);
    assert.deepEqual(a.allocations(), []);
  });

  test('what a handle held before a failed request it keeps', async () => {
    const store = createMemoryStore();
    const a = await startNode({ node: 'a', store, pools: [V4] });
    const before = ipsOf(await assignTo(a, 'net.one', [4]));
    await rejectsWith('NO_POOL', assignTo(a, 'net.one'));
    assert.deepEqual(heldInStore(store).get('net.one'), before);
  });

  test('nothing is handed out before the write is acknowledged', async () => {
    const [gate, acknowledge] = createGate();
    let isSlow = false;
    const store = createMemoryStore({ intercept: () => ({ kind: 'done', ...(isSlow ? { gate } : {}) }) });
    const a = await startNode({ node: 'a', store, pools: [V4] });
    await a.ensureBlocks([4], NEVER);
    isSlow = true;
    const assigning = assignTo(a, 'net.one', [4]);
    await turns(50);
    assert.equal(await Promise.race([assigning.then(() => 'answered'), Promise.resolve('waiting')]), 'waiting');
    assert.deepEqual(a.allocations(), []);
    acknowledge();
    const ips = ipsOf(await assigning);
    assert.deepEqual(heldInStore(store).get('net.one'), ips);
  });

  test('before recover() has finished, requests are refused as not ready', async () => {
    const a = allocatorOf({ node: 'a', store: createMemoryStore(), pools: [V4] });
    await rejectsWith('NOT_READY', assignTo(a, 'net.one'));
    await rejectsWith('NOT_READY', a.release('net.one', NEVER));
  });

  test('a caller that gives up gets ABORTED, and its address is free again', async () => {
    const store = createMemoryStore({ intercept: () => ({ kind: 'done', turns: 5 }) });
    const a = await startNode({ node: 'a', store, pools: [V4, V6] });
    await a.ensureBlocks(DUAL, NEVER);
    const impatient = new AbortController();
    const others = assignTo(a, 'net.other');
    const assigning = a.assign({ handle: 'net.one', families: DUAL, attributes: {}, signal: impatient.signal });
    setImmediate(() => impatient.abort());
    await rejectsWith('ABORTED', assigning);
    await others;
    assert.deepEqual(await a.release('net.one', NEVER), []);
    assert.deepEqual([...heldInStore(store).keys()], ['net.other']);
  });
});

describe('a write whose answer is lost', () => {
  const faults: readonly { readonly name: string; readonly fate: Fate }[] = [
    { name: 'after it happened', fate: { kind: 'lost-answer' } },
    { name: 'before it happened', fate: { kind: 'unavailable' } },
    { name: 'as a conflict that was none', fate: { kind: 'conflict' } },
  ];
  for (const { name, fate } of faults) {
    test(`${name} still gives exactly one address`, async () => {
      let left = 0;
      const store = createMemoryStore({
        intercept: ({ verb }) => (verb === 'update' && left-- > 0 ? fate : { kind: 'done' }),
      });
      const a = await startNode({ node: 'a', store, pools: [V4, V6] });
      await a.ensureBlocks(DUAL, NEVER);
      left = 3;
      const assignment = await assignTo(a, 'net.one');
      assert.deepEqual(heldInStore(store).get('net.one'), ipsOf(assignment));
    });
  }

  test('and that lands after the request failed is either prevented or released with the handle', async () => {
    const [release, land] = createGate();
    let isDown = false;
    let isHeld = false;
    const intercept = ({ verb }: StoreCall): Fate => {
      if (!isDown) {
        return { kind: 'done' };
      }
      if (verb === 'update' && !isHeld) {
        isHeld = true;
        return { kind: 'held', release };
      }
      return { kind: 'unavailable' };
    };
    const store = createMemoryStore({ intercept });
    const a = await startNode({ node: 'a', store, pools: [V4] });
    await a.ensureBlocks([4], NEVER);
    isDown = true;
    await rejectsWith('UNAVAILABLE', assignTo(a, 'net.one', [4]));
    await rejectsWith('UNAVAILABLE', a.release('net.one', NEVER));
    isDown = false;
    assert.deepEqual(await a.release('net.one', NEVER), []);
    land();
    await release;
    assert.equal(heldInStore(store).size, 0, 'the held write landed after the release of its handle');
  });
});

describe('a write that lands when nobody waits for it', () => {
  test('gives no second address to a handle that was served from another pool since', async () => {
    const [release, land] = createGate();
    let fate: Fate = { kind: 'done' };
    const store = createMemoryStore({ intercept: ({ verb }) => (verb === 'update' ? fate : { kind: 'done' }) });
    let pools = [pool('old', '10.9.0.0/24', 26)];
    const a = await startNode({ node: 'a', store, pools: () => pools });
    await a.ensureBlocks([4], NEVER);
    fate = { kind: 'held', release };
    await rejectsWith('UNAVAILABLE', assignTo(a, 'net.one', [4]));
    fate = { kind: 'done' };
    pools = [pool('old', '10.9.0.0/24', 26, { disabled: true }), pool('new', '10.10.0.0/24', 26)];
    const ips = ipsOf(await assignTo(a, 'net.one', [4]));
    land();
    await turns(5);
    assert.deepEqual(heldInStore(store).get('net.one'), ips);
  });
});

describe('releasing', () => {
  test('frees both families, names them, and is not an error the second time', async () => {
    const store = createMemoryStore();
    const a = await startNode({ node: 'a', store, pools: [V4, V6] });
    const ips = ipsOf(await assignTo(a, 'net.one'));
    assert.deepEqual((await a.release('net.one', NEVER)).toSorted(), ips.toSorted());
    assert.deepEqual(await a.release('net.one', NEVER), []);
    assert.equal(heldInStore(store).size, 0);
  });

  test('with a cool-down the address rests, and is handed out again only afterwards', async () => {
    let now = Date.parse('2026-01-01T00:00:00Z');
    const store = createMemoryStore();
    const tiny = pool('tiny', '10.9.0.0/30', 30);
    const a = await startNode({ node: 'a', store, pools: [tiny], settings: { cooldownSeconds: 60 }, now: () => now });
    for (const index of [0, 1, 2, 3]) {
      await assignTo(a, `net.${index}`, [4]);
    }
    const [freed] = await a.release('net.2', NEVER);
    await rejectsWith('POOL_EXHAUSTED', assignTo(a, 'net.new', [4]));
    now += 60_000;
    assert.deepEqual(ipsOf(await assignTo(a, 'net.new', [4])), [freed]);
  });
});

describe('blocks', () => {
  test('two nodes own different blocks, and their addresses never meet', async () => {
    const store = createMemoryStore();
    const small = pool('small', '10.9.0.0/24', 26);
    const nodes = await Promise.all(['a', 'b', 'c', 'd'].map((node) => startNode({ node, store, pools: [small] })));
    await Promise.all(nodes.map((node) => node.ensureBlocks([4], NEVER)));
    assert.equal(new Set(nodes.flatMap((node) => node.blocks().map(({ cidr }) => cidr))).size, 4);
    assertLaws(store);
    assertAffinitiesMatch(store);
  });

  test('ensureBlocks claims ahead of demand, once, and only when few addresses are left', async () => {
    const a = await startNode({ node: 'a', store: createMemoryStore(), pools: [V4] });
    await a.ensureBlocks([4], NEVER);
    await a.ensureBlocks([4], NEVER);
    assert.equal(a.blocks().length, 1);
    await Promise.all(Array.from({ length: 57 }, (_, index) => assignTo(a, `net.${index}`, [4])));
    await a.ensureBlocks([4], NEVER);
    assert.equal(a.blocks().length, 2);
  });

  test('listeners hear of a claimed block, and not of an assignment in it', async () => {
    const a = await startNode({ node: 'a', store: createMemoryStore(), pools: [V4] });
    let heard = 0;
    a.onBlocksChanged(() => {
      heard += 1;
    });
    await a.ensureBlocks([4], NEVER);
    await assignTo(a, 'net.one', [4]);
    assert.equal(heard, 1);
  });

  test('a pool made again with another block size never gets a block over an old one', async () => {
    const store = createMemoryStore();
    let pools = [pool('p', '10.9.0.0/26', 28)];
    const a = await startNode({ node: 'a', store, pools: () => pools });
    const b = await startNode({ node: 'b', store, pools: () => pools });
    await assignTo(a, 'net.old', [4]);
    pools = [pool('p', '10.9.0.0/26', 27)];
    await assignTo(b, 'net.new', [4]);
    pools = [pool('p', '10.9.0.0/26', 30)];
    const c = await startNode({ node: 'c', store, pools: () => pools });
    await assignTo(c, 'net.tiny', [4]);
    assert.equal(store.snapshot().blocks.size, 3);
    assertLaws(store);
  });

  test('of two nodes that make overlapping blocks of different size at once, one withdraws', async (t) => {
    let withdrawn = 0;
    for (let seed = 0; seed < 20; seed += 1) {
      const intercept = ({ index }: StoreCall): Fate => ({ kind: 'done', turns: 1 + ((index * 7 + seed) % 5) });
      const store = createMemoryStore({ intercept });
      const a = await startNode({ node: 'a', store, pools: [pool('p', '10.9.0.0/24', 24)] });
      const b = await startNode({ node: 'b', store, pools: [pool('p', '10.9.0.0/24', 27)] });
      const outcomes = await Promise.allSettled(
        [...Array(12).keys()].map((index) => assignTo(index % 2 === 0 ? a : b, `net.${index}`, [4])),
      );
      assertLaws(store);
      const assigned = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? ipsOf(outcome.value) : []));
      assert.equal(new Set(assigned).size, assigned.length);
      assert.deepEqual([...heldInStore(store).values()].flat().toSorted(), assigned.toSorted());
      withdrawn += store.calls.filter(({ kind, verb }) => kind === 'blocks' && verb === 'remove').length;
    }
    t.diagnostic(`${withdrawn} blocks withdrawn in 20 races`);
    assert.ok(withdrawn > 0, 'the race did not happen');
  });

  test('a block that was given to another node meanwhile is no longer assigned from', async () => {
    const store = createMemoryStore();
    const a = await startNode({ node: 'a', store, pools: [V4] });
    await a.ensureBlocks([4], NEVER);
    const [name, block] = [...store.snapshot().blocks][0] ?? [];
    assert.ok(name !== undefined && block !== undefined);
    const stored = await store.blocks.get(name, { signal: NEVER });
    await store.blocks.update(name, { ...block, affinity: 'b' }, stored?.revision ?? '', { signal: NEVER });
    const [address] = (await assignTo(a, 'net.one', [4])).addresses;
    assert.notEqual(address?.block, block.cidr);
    assert.deepEqual(
      a.blocks().map(({ cidr }) => cidr),
      [address?.block],
    );
  });

  test('an empty block is given back when another has room, and the last one is kept', async () => {
    const store = createMemoryStore();
    const a = await startNode({ node: 'a', store, pools: [V4, V6] });
    await Promise.all(Array.from({ length: 100 }, (_, index) => assignTo(a, `net.${index}`)));
    await Promise.all(Array.from({ length: 100 }, (_, index) => a.release(`net.${index}`, NEVER)));
    assert.equal((await a.releaseEmptyBlocks(NEVER)).length, 2);
    assert.equal(a.blocks().length, 2);
    assert.deepEqual(await a.releaseEmptyBlocks(NEVER), []);
    assertAffinitiesMatch(store);
  });

  test('an empty block is given back only when it stayed untouched for the time asked for', async () => {
    let now = Date.parse('2026-01-01T00:00:00Z');
    const store = createMemoryStore();
    const a = await startNode({ node: 'a', store, pools: [V4], now: () => now });
    const release = (): Promise<readonly string[]> => a.releaseEmptyBlocks(NEVER, 60_000);
    const handles = Array.from({ length: 65 }, (_, index) => `net.${index}`);
    await Promise.all(handles.map((handle) => assignTo(a, handle, [4])));
    await Promise.all(handles.map((handle) => a.release(handle, NEVER)));
    assert.deepEqual(await release(), []);
    now += 59_000;
    assert.deepEqual(await release(), []);
    await Promise.all(handles.map((handle) => assignTo(a, handle, [4])));
    await Promise.all(handles.map((handle) => a.release(handle, NEVER)));
    now += 2_000;
    assert.deepEqual(await release(), [], 'it was in use between');
    now += 60_000;
    assert.equal((await release()).length, 1);
    now += 60_000;
    assert.deepEqual(await release(), [], 'the last one is needed');
  });

  test('an empty block that the spare addresses need is kept, so that it is not claimed again at once', async () => {
    const a = await startNode({ node: 'a', store: createMemoryStore(), pools: [V4] });
    await Promise.all(Array.from({ length: 60 }, (_, index) => assignTo(a, `net.${index}`, [4])));
    await a.ensureBlocks([4], NEVER);
    assert.equal(a.blocks().length, 2, 'four free addresses are too few');
    assert.deepEqual(await a.releaseEmptyBlocks(NEVER), []);
    await Promise.all(Array.from({ length: 4 }, (_, index) => a.release(`net.${index}`, NEVER)));
    assert.equal((await a.releaseEmptyBlocks(NEVER)).length, 1);
    await a.ensureBlocks([4], NEVER);
    assert.equal(a.blocks().length, 1);
  });

  test('an empty block of a pool that no longer selects the node is given back; one in use stays and gives no more', async () => {
    const store = createMemoryStore();
    let pools = [pool('old', '10.9.0.0/24', 26)];
    const a = await startNode({ node: 'a', store, pools: () => pools });
    const [old] = (await assignTo(a, 'net.one', [4])).addresses;
    pools = [pool('old', '10.9.0.0/24', 26, { selectsNode: false }), pool('new', '10.10.0.0/24', 26)];
    const [next] = (await assignTo(a, 'net.two', [4])).addresses;
    assert.notEqual(next?.block, old?.block);
    assert.deepEqual(await a.releaseEmptyBlocks(NEVER), []);
    await a.release('net.one', NEVER);
    assert.deepEqual(await a.releaseEmptyBlocks(NEVER), [old?.block]);
    assertAffinitiesMatch(store);
  });

  test('a block that somebody borrowed from while it was given back stays ours', async () => {
    const [gate, open] = createGate();
    const store = createMemoryStore();
    const pools = [pool('small', '10.9.0.0/29', 30)];
    const slowRemoval = store.client(({ verb }) => ({ kind: 'done', ...(verb === 'remove' ? { gate } : {}) }));
    const a = await startNode({ node: 'a', store: slowRemoval, pools });
    for (const index of [0, 1, 2, 3, 4]) {
      await assignTo(a, `net.${index}`, [4]);
    }
    const needless = a.allocations().find(({ handle }) => handle === 'net.4')?.block;
    await a.release('net.4', NEVER);
    await a.release('net.0', NEVER); // room elsewhere, so the other block is needless
    const givingBack = a.releaseEmptyBlocks(NEVER);
    await turns(20);
    assert.ok(!a.blocks().some(({ cidr }) => cidr === needless), 'a departing block does not count as ours');
    const b = await startNode({ node: 'b', store, pools });
    const borrowed = await Promise.all([0, 1].map((index) => assignTo(b, `net.b${index}`, [4])));
    assert.ok(
      borrowed.some(({ addresses }) => addresses[0]?.block === needless),
      'nothing was borrowed from it',
    );
    open();
    assert.deepEqual(await givingBack, []);
    assert.ok(a.blocks().some(({ cidr, affine }) => cidr === needless && affine));
    assertLaws(store);
    assertAffinitiesMatch(store);
  });

  test('a block removed by hand is forgotten, and the next request claims another', async () => {
    const store = createMemoryStore();
    const a = await startNode({ node: 'a', store, pools: [V4] });
    await a.ensureBlocks([4], NEVER);
    const name = [...store.snapshot().blocks.keys()][0] ?? '';
    const stored = await store.blocks.get(name, { signal: NEVER });
    await store.blocks.remove(name, stored?.revision ?? '', { signal: NEVER });
    const assignment = await assignTo(a, 'net.one', [4]);
    assert.deepEqual(heldInStore(store).get('net.one'), ipsOf(assignment));
  });
});

describe('borrowing', () => {
  const small = pool('small', '10.9.0.0/29', 30);

  test('when every block is taken an address comes from another node, and is released by its handle', async () => {
    const store = createMemoryStore();
    const a = await startNode({ node: 'a', store, pools: [small] });
    const b = await startNode({ node: 'b', store, pools: [small] });
    await assignTo(b, 'net.b', [4]);
    await Promise.all([...Array(7).keys()].map((index) => assignTo(a, `net.a${index}`, [4])));
    assert.deepEqual(
      a
        .blocks()
        .map(({ affine }) => String(affine))
        .toSorted(),
      ['false', 'true'],
    );
    assert.deepEqual(
      b.allocations().map(({ handle }) => handle),
      ['net.b'],
    );
    const again = await startNode({ node: 'a', store, pools: [small] });
    assert.equal(again.allocations().length, 7);
    await Promise.all([...Array(7).keys()].map((index) => again.release(`net.a${index}`, NEVER)));
    assert.deepEqual([...heldInStore(store).keys()], ['net.b']);
    assertLaws(store);
  });

  test('strictAffinity forbids it, and the error says so with every pool and its size', async () => {
    const store = createMemoryStore();
    const settings = { strictAffinity: true };
    const a = await startNode({ node: 'a', store, pools: [small], settings });
    const b = await startNode({ node: 'b', store, pools: [small], settings });
    await assignTo(b, 'net.b', [4]);
    await Promise.all([...Array(4).keys()].map((index) => assignTo(a, `net.a${index}`, [4])));
    await rejectsWith(
      'POOL_EXHAUSTED',
      assignTo(a, 'net.a4', [4]),
      /no IPv4 address is free for node a: every block is taken, borrowing is off \(strictAffinity\); pool small \(10\.9\.0\.0\/29, blocks of \/30\) has 2 blocks with 5 of 8 addresses taken/,
    );
  });

  test('a node at its limit of blocks borrows; with strict affinity the error names the limit', async () => {
    const settings = { strictAffinity: true, maxBlocksPerNode: 1 };
    const a = await startNode({ node: 'a', store: createMemoryStore(), pools: [small], settings });
    await Promise.all([...Array(4).keys()].map((index) => assignTo(a, `net.a${index}`, [4])));
    await rejectsWith('POOL_EXHAUSTED', assignTo(a, 'net.a4', [4]), /node a owns 1 blocks, the most it may/);
  });

  test('exhaustion of one family gives the other back', async () => {
    const store = createMemoryStore();
    const a = await startNode({ node: 'a', store, pools: [pool('one', '10.9.0.0/32', 32), V6] });
    await assignTo(a, 'net.one');
    await rejectsWith('POOL_EXHAUSTED', assignTo(a, 'net.two'));
    assert.deepEqual([...heldInStore(store).keys()], ['net.one']);
  });

  test('an address freed by someone else in an own block that looked full is found', async () => {
    const store = createMemoryStore();
    const tiny = pool('tiny', '10.9.0.0/31', 31);
    const a = await startNode({ node: 'a', store, pools: [tiny] });
    const [first] = ipsOf(await assignTo(a, 'net.0', [4]));
    await assignTo(a, 'net.1', [4]);
    const other = await startNode({ node: 'a', store, pools: [tiny] });
    await other.release('net.0', NEVER);
    assert.deepEqual(ipsOf(await assignTo(a, 'net.2', [4])), [first]);
  });
});

describe('pools', () => {
  const cases = [
    {
      name: 'disabled',
      pools: [pool('p', '10.9.0.0/24', 26, { disabled: true })],
      says: /p \(10\.9\.0\.0\/24\) is disabled/,
    },
    {
      name: 'for other nodes',
      pools: [pool('p', '10.9.0.0/24', 26, { selectsNode: false })],
      says: /does not select this node/,
    },
    {
      name: 'of impossible block size',
      pools: [pool('p', '10.9.0.0/24', 20)],
      says: /has blockSize 20, expected 24 to 32/,
    },
    { name: 'absent', pools: [], says: /there is no IPv4 pool/ },
  ];
  for (const { name, pools, says } of cases) {
    test(`a pool ${name} gives NO_POOL and the reason`, async () => {
      const a = await startNode({ node: 'a', store: createMemoryStore(), pools });
      await rejectsWith('NO_POOL', assignTo(a, 'net.one', [4]), says);
      await rejectsWith('NO_POOL', a.ensureBlocks([4], NEVER));
    });
  }

  test('a second pool is used when the first is full', async () => {
    const pools = [pool('one', '10.9.0.0/31', 31), pool('two', '10.10.0.0/31', 31)];
    const a = await startNode({ node: 'a', store: createMemoryStore(), pools });
    const ips = await Promise.all([...Array(4).keys()].map((index) => assignTo(a, `net.${index}`, [4])));
    assert.deepEqual(ips.flatMap(ipsOf).toSorted(), ['10.10.0.0', '10.10.0.1', '10.9.0.0', '10.9.0.1']);
  });
});

describe('recovering', () => {
  test('a restarted node knows its blocks and addresses, and gives a handle the same ones', async () => {
    const store = createMemoryStore();
    const before = await startNode({ node: 'a', store, pools: [V4, V6] });
    const assignment = await assignTo(before, 'net.one');
    const after = await startNode({ node: 'a', store, pools: [V4, V6] });
    assert.deepEqual(after.blocks(), before.blocks());
    assert.deepEqual(after.allocations(), before.allocations());
    assert.deepEqual(await assignTo(after, 'net.one'), assignment);
  });

  test('the first dual-stack request after a restart is one write per family and no read', async () => {
    const store = createMemoryStore();
    await assignTo(await startNode({ node: 'a', store, pools: [V4, V6] }), 'net.one');
    const after = await startNode({ node: 'a', store, pools: [V4, V6] });
    const before = store.calls.length;
    await assignTo(after, 'net.two');
    assert.deepEqual(
      store.calls.slice(before).map(({ verb, kind }) => `${verb} ${kind}`),
      ['update blocks', 'update blocks'],
    );
  });

  const cidr = parsePrefix('10.64.3.0/26');
  const leftovers = [
    { name: 'a pending affinity without a block', state: 'pending', owner: 'nobody', ours: true },
    { name: 'a pending affinity to our block', state: 'pending', owner: 'a', ours: true },
    { name: "a pending affinity to another node's block", state: 'pending', owner: 'b', ours: false },
    { name: "a confirmed affinity to another node's block", state: 'confirmed', owner: 'b', ours: false },
    { name: 'a confirmed affinity without a block', state: 'confirmed', owner: 'nobody', ours: false },
    { name: 'a departing affinity to our empty block', state: 'pendingDeletion', owner: 'a', ours: false },
    { name: 'a departing affinity without a block', state: 'pendingDeletion', owner: 'nobody', ours: false },
    { name: 'a block of ours without an affinity', state: 'absent', owner: 'a', ours: true },
  ] as const;
  for (const { name, state, owner, ours } of leftovers) {
    test(`${name} ${ours ? 'becomes a confirmed block' : 'is cleared away'}`, async () => {
      const store = createMemoryStore();
      if (state !== 'absent') {
        const affinity = { node: 'a', cidr, state, deleted: false };
        await store.affinities.create(affinityName('a', cidr), affinity, { signal: NEVER });
      }
      if (owner !== 'nobody') {
        await store.blocks.create(blockName(cidr), newBlock(cidr, owner, 1), { signal: NEVER });
      }
      const a = await startNode({ node: 'a', store, pools: [V4] });
      assert.deepEqual(
        a.blocks().map((block) => block.cidr),
        ours ? [cidr] : [],
      );
      assert.equal(store.snapshot().affinities.get(affinityName('a', cidr))?.state, ours ? 'confirmed' : undefined);
      assert.equal(store.snapshot().blocks.has(blockName(cidr)), ours || owner === 'b');
    });
  }

  for (const owner of ['a', 'b']) {
    test(`a block of ${owner === 'a' ? 'ours' : 'another node'} that contradicts itself is left alone, and the rest goes on`, async () => {
      const store = createMemoryStore();
      const pools = [pool('p', '10.9.0.0/24', 25)];
      const corrupt = { ...newBlock(parsePrefix('10.9.0.0/26'), owner, 1), unallocated: [1, 1, 99] };
      await store.blocks.create(blockName(corrupt.cidr), corrupt, { signal: NEVER });
      const a = await startNode({ node: 'a', store, pools });
      const ips = await Promise.all([...Array(128).keys()].map((index) => assignTo(a, `net.${index}`, [4])));
      assert.ok(ips.every(({ addresses }) => addresses[0]?.block === '10.9.0.128/25'));
      await rejectsWith('POOL_EXHAUSTED', assignTo(a, 'net.more', [4]));
      assert.deepEqual(store.snapshot().blocks.get(blockName(corrupt.cidr)), corrupt);
    });
  }

  test('a block that is corrupted while it is in use costs its own addresses, no others', async () => {
    const store = createMemoryStore();
    const a = await startNode({ node: 'a', store, pools: [V4] });
    const [address] = (await assignTo(a, 'net.one', [4])).addresses;
    assert.ok(address);
    const name = blockName(address.block);
    const stored = await store.blocks.get(name, { signal: NEVER });
    assert.ok(stored);
    await store.blocks.update(name, { ...stored.value, allocations: [] }, stored.revision, { signal: NEVER });
    const [other] = (await assignTo(a, 'net.two', [4])).addresses;
    assert.notEqual(other?.block, address.block);
    assert.deepEqual(await a.release('net.two', NEVER), [other?.ip]);
  });

  test('an affinity that cannot be understood spoils its own block and no other', async () => {
    const store = createMemoryStore();
    const pools = [pool('p', '10.9.0.0/25', 26)];
    const before = await startNode({ node: 'a', store, pools });
    await before.ensureBlocks([4], NEVER);
    const spoilt = before.blocks()[0]?.cidr;
    assert.ok(spoilt);
    const name = affinityName('a', spoilt);
    const nonsense = ({ kind, verb, name: asked }: StoreCall): Fate =>
      kind === 'affinities' && verb === 'get' && asked === name ? { kind: 'corrupt' } : { kind: 'done' };
    const client = store.client(nonsense);
    const unlisted = { ...client.affinities, list: () => Promise.resolve([]) };
    const after = await startNode({ node: 'a', store: { blocks: client.blocks, affinities: unlisted }, pools });
    assert.deepEqual(after.blocks(), []);
    const [address] = (await assignTo(after, 'net.one', [4])).addresses;
    assert.notEqual(address?.block, spoilt);
  });

  test('a departing affinity to a block that is in use becomes confirmed again', async () => {
    const store = createMemoryStore();
    const before = await startNode({ node: 'a', store, pools: [V4] });
    const assignment = await assignTo(before, 'net.one', [4]);
    const name = [...store.snapshot().affinities.keys()][0] ?? '';
    const stored = await store.affinities.get(name, { signal: NEVER });
    assert.ok(stored);
    await store.affinities.update(name, { ...stored.value, state: 'pendingDeletion' }, stored.revision, {
      signal: NEVER,
    });
    const after = await startNode({ node: 'a', store, pools: [V4] });
    assert.deepEqual(await assignTo(after, 'net.one', [4]), assignment);
    assertAffinitiesMatch(store);
  });
});
