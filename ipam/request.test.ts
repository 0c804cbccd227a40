import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { containsIp, type Family, type Ip, parseIp, parsePrefix } from '#net';
import { assertLaws, createRandom, heldInStore, NEVER, pool, startNode } from '../test/support/ipam-node.ts';
import { createMemoryStore, WRITES } from '../test/support/memory-store.ts';
import type { Allocator, AssignOptions } from './allocator.ts';
import { isIpamError } from './errors.ts';
import { assertServed, eligiblePools, type Pool } from './pool.ts';

const WEB = pool('web', '10.9.0.0/24', 28);
const DB = pool('db', '10.8.0.0/24', 28);
const WEB6 = pool('web6', 'fd00:9::/120', 124);

type Wish = Partial<Omit<AssignOptions, 'handle' | 'signal'>>;

async function ask(allocator: Allocator, handle: string, wish: Wish = {}): Promise<readonly Ip[]> {
  const families: readonly Family[] = [4];
  const attributes = { pod: handle, namespace: 'default' };
  const { addresses } = await allocator.assign({ handle, families, attributes, signal: NEVER, ...wish });
  return addresses.map(({ ip }) => ip);
}

async function refuses(code: string, promise: Promise<unknown>, message: RegExp): Promise<void> {
  await assert.rejects(promise, (error: unknown) => {
    assert.ok(isIpamError(error), String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  });
}

describe('a request for one very address', () => {
  const wanted = { addresses: [parseIp('10.9.0.77')] };

  test('gets it in a block claimed for it, and gets it again', async () => {
    const store = createMemoryStore();
    const a = await startNode({ node: 'a', store, pools: [WEB] });
    assert.deepEqual(await ask(a, 'net.0', wanted), ['10.9.0.77']);
    assert.deepEqual(await ask(a, 'net.0', wanted), ['10.9.0.77']);
    assert.deepEqual(
      a.blocks().map(({ cidr, affine }) => `${cidr} ${affine}`),
      ['10.9.0.64/28 true'],
    );
    assertLaws(store);
  });

  test('on a warm block is one write and no read', async () => {
    const store = createMemoryStore();
    const a = await startNode({ node: 'a', store, pools: [WEB] });
    await ask(a, 'net.0', wanted);
    const before = store.calls.length;
    await ask(a, 'net.1', { addresses: [parseIp('10.9.0.70')] });
    assert.deepEqual(
      store.calls.slice(before).map(({ verb, kind }) => `${verb} ${kind}`),
      ['update blocks'],
    );
  });

  test('names the holder when it is taken, and keeps nothing', async () => {
    const store = createMemoryStore();
    const a = await startNode({ node: 'a', store, pools: [WEB, WEB6] });
    const b = await startNode({ node: 'b', store, pools: [WEB, WEB6] });
    await ask(a, 'net.0', wanted);
    const taken = /10\.9\.0\.77 is held by pod default\/net\.0 on node a \(handle net\.0\)/;
    await refuses('ADDRESS_TAKEN', ask(b, 'net.1', { ...wanted, families: [4, 6] }), taken);
    await refuses('ADDRESS_TAKEN', ask(a, 'net.1', wanted), taken);
    assert.deepEqual([...heldInStore(store).keys()], ['net.0']);
  });

  test('borrows it from a block of another node, unless strictAffinity forbids it', async () => {
    const store = createMemoryStore();
    const a = await startNode({ node: 'a', store, pools: [WEB] });
    await ask(a, 'net.0', wanted);
    const strict = await startNode({ node: 'b', store, pools: [WEB], settings: { strictAffinity: true } });
    await refuses(
      'INVALID_REQUEST',
      ask(strict, 'net.1', { addresses: [parseIp('10.9.0.78')] }),
      /belongs to node a, and strictAffinity forbids to borrow/,
    );
    const c = await startNode({ node: 'c', store, pools: [WEB] });
    assert.deepEqual(await ask(c, 'net.2', { addresses: [parseIp('10.9.0.78')] }), ['10.9.0.78']);
    assert.deepEqual(
      c.blocks().map(({ cidr, affine }) => `${cidr} ${affine}`),
      ['10.9.0.64/28 false'],
    );
  });

  for (const [name, pools, message] of [
    ['outside every pool', [DB], /address 10\.9\.0\.77, which the request asks for, is in no pool/],
    ['in a disabled pool', [{ ...WEB, disabled: true }], /is in pool web \(10\.9\.0\.0\/24\), which is disabled/],
    ['in a pool that is not for pods', [{ ...WEB, workloads: false }], /which is not for pods \(allowedUses/],
  ] as const) {
    test(`is refused ${name}`, async () => {
      const a = await startNode({ node: 'a', store: createMemoryStore(), pools });
      await refuses('INVALID_REQUEST', ask(a, 'net.0', wanted), message);
    });
  }

  test('is not hindered by selectors, assignmentMode, a reservation or a cool-down', async () => {
    const store = createMemoryStore();
    const settings = { reserved: [parsePrefix('10.9.0.0/24')], cooldownSeconds: 1200 };
    const pools = [{ ...WEB, selectsNode: false, automatic: false }];
    const a = await startNode({ node: 'a', store, pools, settings });
    await ask(a, 'net.0', wanted);
    await a.release('net.0', NEVER);
    assert.deepEqual(await ask(a, 'net.1', wanted), ['10.9.0.77']);
    assertLaws(store);
  });

  test('leaves the other family as it would be', async () => {
    const a = await startNode({ node: 'a', store: createMemoryStore(), pools: [WEB, WEB6] });
    const ips = await ask(a, 'net.0', { ...wanted, families: [4, 6] });
    assert.equal(ips[0], '10.9.0.77');
    assert.ok(containsIp(WEB6.cidr, ips[1] ?? parseIp('::')));
  });

  test('contradicting itself is refused', async () => {
    const a = await startNode({ node: 'a', store: createMemoryStore(), pools: [WEB] });
    const two = [parseIp('10.9.0.7'), parseIp('10.9.0.8')];
    await refuses('INVALID_REQUEST', ask(a, 'net.0', { addresses: two }), /more than one IPv4 address/);
    await refuses('INVALID_REQUEST', ask(a, 'net.0', { addresses: [parseIp('fd00::1')] }), /an IPv6 address/);
    await refuses('INVALID_REQUEST', ask(a, 'net.0', { ...wanted, count: 2 }), /expected one of the two/);
    await ask(a, 'net.0');
    await refuses('INVALID_REQUEST', ask(a, 'net.0', wanted), /net\.0 holds 10\.9\.0\.\d+ already/);
  });

  test('of many nodes for one address exactly one wins', async () => {
    for (const seed of [1, 2, 3, 4, 5]) {
      const random = createRandom(seed);
      const store = createMemoryStore({ intercept: () => ({ kind: 'done', turns: 1 + Math.floor(random() * 4) }) });
      const outcomes = await Promise.allSettled(
        Array.from({ length: 20 }, async (_, index) => {
          const allocator = await startNode({ node: `node-${index}`, store, pools: [WEB], random });
          return await ask(allocator, `net.${index}`, wanted);
        }),
      );
      assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1, `seed ${seed}`);
      for (const outcome of outcomes) {
        assert.ok(outcome.status === 'fulfilled' || isIpamError(outcome.reason, 'ADDRESS_TAKEN'), `seed ${seed}`);
      }
      assertLaws(store);
    }
  });
});

describe('a request for pools', () => {
  test('by name or CIDR is served from these alone, best first, whatever they select', async () => {
    const pools = [WEB, { ...DB, selectsNode: false, automatic: false }];
    const a = await startNode({ node: 'a', store: createMemoryStore(), pools });
    const [plain] = await ask(a, 'net.0');
    const [named] = await ask(a, 'net.1', { pools: { 4: { requested: ['db'] } } });
    const [byCidr] = await ask(a, 'net.2', { pools: { 4: { requested: ['10.8.0.0/24', 'web'] } } });
    assert.ok(containsIp(WEB.cidr, plain ?? parseIp('::')));
    assert.ok(containsIp(DB.cidr, named ?? parseIp('::')));
    assert.ok(containsIp(DB.cidr, byCidr ?? parseIp('::')));
  });

  for (const [name, requested, message] of [
    ['an unknown pool', ['nope'], /pool nope, which the request asks for, does not exist/],
    ['a disabled pool', ['web', 'off'], /pool off, which the request asks for, is disabled/],
    ['a pool of the other family', ['web6'], /has fd00:9::\/120, expected an IPv4 pool/],
    ['a pool that is not for pods', ['tunnels'], /is not for pods/],
  ] as const) {
    test(`${name} is an error that names it`, async () => {
      const off = pool('off', '10.7.0.0/24', 26, { disabled: true });
      const tunnels = pool('tunnels', '10.6.0.0/24', 26, { workloads: false });
      const a = await startNode({ node: 'a', store: createMemoryStore(), pools: [WEB, WEB6, off, tunnels] });
      await refuses('INVALID_REQUEST', ask(a, 'net.0', { pools: { 4: { requested } } }), message);
    });
  }

  test('that is full does not spill into others', async () => {
    const one = pool('one', '10.5.0.0/32', 32);
    const a = await startNode({ node: 'a', store: createMemoryStore(), pools: [WEB, one] });
    const wish = { pools: { 4: { requested: ['one'] } } };
    assert.deepEqual(await ask(a, 'net.0', wish), ['10.5.0.0']);
    await refuses('POOL_EXHAUSTED', ask(a, 'net.1', wish), /pool one \(10\.5\.0\.0\/32, blocks of \/32\) has 1 blocks/);
  });

  test('a condition of the request leaves pools out and is explained', async () => {
    const whyNot = (each: Pool): string | undefined =>
      each.name === 'web' ? 'does not select the namespace' : undefined;
    const a = await startNode({ node: 'a', store: createMemoryStore(), pools: [WEB] });
    const b = await startNode({ node: 'b', store: createMemoryStore(), pools: [WEB, DB] });
    const wish = { pools: { 4: { whyNot } } };
    await refuses('NO_POOL', ask(a, 'net.0', wish), /web \(10\.9\.0\.0\/24\) does not select the namespace/);
    const [ip] = await ask(b, 'net.0', wish);
    assert.ok(containsIp(DB.cidr, ip ?? parseIp('::')));
  });

  test('a Manual pool serves nobody who did not ask for it', () => {
    const manual = { ...DB, automatic: false };
    assert.deepEqual(eligiblePools([manual], 4), []);
    assert.deepEqual(eligiblePools([manual], 4, { requested: ['db'] }), [manual]);
    assert.throws(() => assertServed([manual], 4), /db \(10\.8\.0\.0\/24\) serves only requests by name/);
  });
});

describe('a request for several addresses', () => {
  test('gets them from as many blocks as it takes, and the same again', async () => {
    const store = createMemoryStore();
    const a = await startNode({ node: 'a', store, pools: [pool('small', '10.9.0.0/28', 30), WEB6] });
    const ips = await ask(a, 'net.0', { families: [4, 6], count: 6 });
    assert.equal(new Set(ips).size, 12);
    assert.deepEqual((await ask(a, 'net.0', { families: [4, 6], count: 6 })).toSorted(), ips.toSorted());
    assert.equal((await a.release('net.0', NEVER)).length, 12);
    assert.equal(heldInStore(store).size, 0);
  });

  test('gets all or none: one that cannot be met gives back what it added, and only that', async () => {
    const store = createMemoryStore();
    const a = await startNode({ node: 'a', store, pools: [pool('small', '10.9.0.0/29', 30)] });
    const [first] = await ask(a, 'net.0');
    await refuses('POOL_EXHAUSTED', ask(a, 'net.0', { count: 9 }), /no IPv4 address is free/);
    assert.deepEqual(heldInStore(store).get('net.0'), [first]);
    assert.equal((await ask(a, 'net.0', { count: 8 })).length, 8);
  });

  test('on a warm block is one write', async () => {
    const store = createMemoryStore();
    const a = await startNode({ node: 'a', store, pools: [WEB] });
    await a.ensureBlocks([4], NEVER);
    const before = store.count(WRITES);
    await ask(a, 'net.0', { count: 5 });
    assert.equal(store.count(WRITES) - before, 1);
  });
});
