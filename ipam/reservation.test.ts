import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { containsIp, nthAddress, nthSubprefix, parsePrefix } from '#net';
import { assertLaws, heldInStore, NEVER, pool, startNode } from '../test/support/ipam-node.ts';
import { createMemoryStore } from '../test/support/memory-store.ts';
import type { Allocator } from './allocator.ts';
import { assign, type Block, newBlock, release } from './block.ts';
import { isIpamError } from './errors.ts';
import { reservedIn, wholeBlocksReserved } from './reservation.ts';

const BLOCK = parsePrefix('10.64.0.0/29');
const NOW = Date.parse('2026-01-01T00:00:00Z');

async function addressOf(allocator: Allocator, handle: string): Promise<string> {
  const { addresses } = await allocator.assign({ handle, families: [4], attributes: {}, signal: NEVER });
  return addresses[0]?.ip ?? '';
}

function ordinalAfter(block: Block, reserved: readonly string[]): { readonly block: Block; readonly ordinal?: number } {
  const isReserved = reservedIn(BLOCK, reserved.map(parsePrefix));
  const request = { handle: `h${block.sequenceNumber}`, attributes: {} };
  const result = assign(block, isReserved === undefined ? request : { ...request, isReserved }, NOW);
  return result.kind === 'assigned' ? { block: result.block, ordinal: result.ordinals[0] ?? -1 } : { block };
}

describe('reserved addresses', () => {
  test('are those of the block inside a range, whatever the range covers beside it', () => {
    const range = fc
      .tuple(fc.integer({ min: 26, max: 32 }), fc.nat())
      .map(([length, n]) => nthSubprefix(parsePrefix('10.64.0.0/26'), length, n % 2 ** (length - 26)));
    fc.assert(
      fc.property(fc.array(range, { maxLength: 5 }), (reserved) => {
        const isReserved = reservedIn(BLOCK, reserved) ?? (() => false);
        for (let ordinal = 0; ordinal < 8; ordinal += 1) {
          const ip = nthAddress(BLOCK, ordinal);
          assert.equal(
            isReserved(ordinal),
            reserved.some((cidr) => containsIp(cidr, ip)),
            ip,
          );
        }
      }),
    );
  });

  test('are passed over and keep their place: lifted, they come first', () => {
    const first = ordinalAfter(newBlock(BLOCK, 'a', NOW), ['10.64.0.0/31']);
    assert.equal(first.ordinal, 2);
    assert.equal(ordinalAfter(first.block, []).ordinal, 0);
    assert.deepEqual(first.block.unallocated, [0, 1, 3, 4, 5, 6, 7]);
  });

  test('of other ranges do not matter', () => {
    assert.equal(reservedIn(BLOCK, [parsePrefix('10.65.0.0/16'), parsePrefix('fd00::/8')]), undefined);
  });

  test('that cover a block together make it useless', () => {
    const useless = wholeBlocksReserved(['10.0.0.0/27', '10.0.0.32/27', '10.0.1.0/30'].map(parsePrefix), 26);
    assert.deepEqual([...useless.keys()], ['10.0.0.0/26']);
  });

  test('a time of release far ahead, from a wrong clock, does not hold an address back for ever', () => {
    const held = assign(newBlock(BLOCK, 'a', NOW), { handle: 'h', attributes: {}, count: 8 }, NOW);
    assert.ok(held.kind === 'assigned');
    const inAYear = release(held.block, { handle: 'h', cooldownSeconds: 60 }, NOW + 31_536_000_000);
    assert.ok(inAYear.kind === 'released');
    assert.equal(assign(inAYear.block, { handle: 'i', attributes: {}, cooldownSeconds: 60 }, NOW).kind, 'assigned');
  });
});

describe('reservations on a node', () => {
  test('are honoured by new assignments only, and lifted at once', async () => {
    const store = createMemoryStore();
    const settings: { reserved: string[] } = { reserved: [] };
    const a = await startNode({
      node: 'a',
      store,
      pools: [pool('tiny', '10.9.0.0/30', 30)],
      settings: () => ({ reserved: settings.reserved.map(parsePrefix) }),
    });
    assert.equal(await addressOf(a, 'net.0'), '10.9.0.0');
    settings.reserved = ['10.9.0.0/31'];
    assert.equal(await addressOf(a, 'net.0'), '10.9.0.0', 'the holder keeps it');
    assert.equal(await addressOf(a, 'net.1'), '10.9.0.2');
    assert.deepEqual(
      a.blocks().map(({ used, free, reserved }) => ({ used, free, reserved })),
      [{ used: 2, free: 1, reserved: 1 }],
    );
    assert.equal(await addressOf(a, 'net.2'), '10.9.0.3');
    await assert.rejects(addressOf(a, 'net.3'), (error: unknown) => {
      assert.ok(isIpamError(error, 'POOL_EXHAUSTED'));
      assert.match(error.message, /3 of 4 addresses taken and 1 reserved/);
      return true;
    });
    settings.reserved = [];
    assert.equal(await addressOf(a, 'net.3'), '10.9.0.1');
    assertLaws(store);
  });

  test('leave a block that is reserved as a whole alone', async () => {
    const store = createMemoryStore();
    const reserved = ['10.9.0.0/31', '10.9.0.2/31', '10.9.0.4/30', '10.9.0.12/30'].map(parsePrefix);
    const pools = [pool('small', '10.9.0.0/28', 30)];
    const a = await startNode({ node: 'a', store, pools, settings: { reserved } });
    assert.deepEqual(
      await Promise.all([0, 1, 2, 3].map((index) => addressOf(a, `net.${index}`))).then((ips) => ips.toSorted()),
      ['10.9.0.10', '10.9.0.11', '10.9.0.8', '10.9.0.9'],
    );
    await assert.rejects(addressOf(a, 'net.4'), /every block is taken/);
    assert.deepEqual([...store.snapshot().blocks.keys()], ['10-9-0-8-30']);
  });
});

describe('autoAllocateBlocks false', () => {
  test('lets a node use the blocks it has and claim none', async () => {
    const store = createMemoryStore();
    const pools = [pool('small', '10.9.0.0/29', 30)];
    let autoAllocateBlocks = true;
    const settings = () => ({ autoAllocateBlocks, strictAffinity: true });
    const a = await startNode({ node: 'a', store, pools, settings });
    await addressOf(a, 'net.0');
    autoAllocateBlocks = false;
    await Promise.all([1, 2, 3].map((index) => addressOf(a, `net.${index}`)));
    await assert.rejects(addressOf(a, 'net.4'), /claims no blocks by itself \(autoAllocateBlocks is false\)/);
    assert.equal(heldInStore(store).size, 4);
  });
});
