import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { parsePrefix } from '#net';
import {
  assign,
  type Block,
  blockFaults,
  freeCount,
  holdings,
  isEmpty,
  newBlock,
  ordinalsOf,
  release,
} from './block.ts';

const CIDR = parsePrefix('10.64.0.0/29');
const NOW = Date.parse('2026-01-01T00:00:00Z');

function mustAssign(
  block: Block,
  handle: string,
  count = 1,
): { readonly block: Block; readonly ordinals: readonly number[] } {
  const result = assign(block, { handle, attributes: { pod: handle }, count }, NOW);
  assert.equal(result.kind, 'assigned');
  assert.ok(result.kind === 'assigned');
  return result;
}

function mustRelease(block: Block, handle: string, cooldownSeconds = 0, now = NOW): Block {
  const result = release(block, { handle, cooldownSeconds }, now);
  assert.ok(result.kind === 'released');
  return result.block;
}

describe('a block', () => {
  for (const [cidr, size] of [
    ['10.64.0.0/26', 64],
    ['10.64.0.1/32', 1],
    ['10.64.0.0/20', 4096],
    ['fd00::/122', 64],
    ['fd00::/116', 4096],
  ] as const) {
    test(`${cidr} has ${size} addresses, all free, the first and the last included`, () => {
      const block = newBlock(parsePrefix(cidr), 'a', NOW);
      assert.equal(block.unallocated.length, size);
      assert.deepEqual(blockFaults(block), []);
      assert.ok(isEmpty(block));
    });
  }

  test('hands out the address that is free longest', () => {
    let block = newBlock(CIDR, 'a', NOW);
    for (const handle of ['h0', 'h1', 'h2']) {
      block = mustAssign(block, handle).block;
    }
    block = mustRelease(block, 'h1');
    block = mustRelease(block, 'h0');
    const order = [];
    for (const handle of ['n0', 'n1', 'n2', 'n3', 'n4', 'n5', 'n6']) {
      const assigned = mustAssign(block, handle);
      block = assigned.block;
      order.push(...assigned.ordinals);
    }
    assert.deepEqual(order, [3, 4, 5, 6, 7, 1, 0]);
  });

  test('gives a handle what it holds already, as the very same block', () => {
    const { block, ordinals } = mustAssign(newBlock(CIDR, 'a', NOW), 'h');
    const again = assign(block, { handle: 'h', attributes: {} }, NOW);
    assert.deepEqual(again, { kind: 'assigned', block, ordinals });
    assert.equal(again.kind === 'assigned' && again.block, block);
  });

  test('adds only what is missing when a handle asks for more', () => {
    const first = mustAssign(newBlock(CIDR, 'a', NOW), 'h', 2);
    const more = mustAssign(first.block, 'h', 3);
    assert.deepEqual(more.ordinals, [0, 1, 2]);
    assert.equal(freeCount(more.block, 0, NOW), 5);
  });

  test('refuses as full rather than giving fewer, and is not changed by that', () => {
    const { block } = mustAssign(newBlock(CIDR, 'a', NOW), 'h', 6);
    assert.deepEqual(assign(block, { handle: 'i', attributes: {}, count: 3 }, NOW), {
      kind: 'refused',
      reason: 'full',
    });
    assert.equal(ordinalsOf(block, 'i').length, 0);
  });

  test('releases every address of the handle and forgets its attributes', () => {
    const held = mustAssign(mustAssign(newBlock(CIDR, 'a', NOW), 'h', 3).block, 'i').block;
    const block = mustRelease(held, 'h');
    assert.deepEqual(block.attributes, [{ handle: 'i', attributes: { pod: 'i' } }]);
    assert.deepEqual(
      [...holdings(block)].map(({ ordinal }) => ordinal),
      [3],
    );
  });

  test('releasing an unknown handle gives the very same block', () => {
    const block = newBlock(CIDR, 'a', NOW);
    assert.deepEqual(release(block, { handle: 'h' }, NOW), { kind: 'released', block, ordinals: [] });
  });

  test('counts every change, and marks the addresses it changed', () => {
    const one = mustAssign(newBlock(CIDR, 'a', NOW), 'h').block;
    const two = mustAssign(one, 'i').block;
    assert.deepEqual([one.sequenceNumber, two.sequenceNumber], [NOW + 1, NOW + 2]);
    assert.deepEqual(two.sequenceNumberForAllocation, { '0': NOW + 1, '1': NOW + 2 });
    const three = mustRelease(two, 'h');
    assert.equal(three.sequenceNumber, NOW + 3);
    assert.deepEqual(three.sequenceNumberForAllocation, { '1': NOW + 2 });
  });

  test('refuses a release decided on an older holder of the address (ABA)', () => {
    const first = mustAssign(newBlock(parsePrefix('10.0.0.0/32'), 'a', NOW), 'h').block;
    const again = mustAssign(mustRelease(first, 'h'), 'h').block;
    const stale = first.sequenceNumberForAllocation['0'];
    assert.ok(stale !== undefined);
    assert.deepEqual(release(again, { handle: 'h', sequenceNumber: stale }, NOW), {
      kind: 'refused',
      reason: 'changed since',
    });
  });

  test('an address that cools down is held by nobody, is not free, and is free after the cool-down', () => {
    const cooling = mustRelease(mustAssign(newBlock(CIDR, 'a', NOW), 'h').block, 'h', 30);
    assert.deepEqual(cooling.attributes, [
      { handle: undefined, attributes: {}, releasedAt: '2026-01-01T00:00:00.000Z' },
    ]);
    assert.ok(isEmpty(cooling));
    assert.deepEqual([freeCount(cooling, 30, NOW + 29_999), freeCount(cooling, 30, NOW + 30_000)], [7, 8]);
    assert.deepEqual(blockFaults(cooling), []);
  });

  test('a shorter cool-down frees at once what a longer one still held back', () => {
    const cooling = mustRelease(mustAssign(newBlock(CIDR, 'a', NOW), 'h').block, 'h', 1200);
    assert.equal(freeCount(cooling, 0, NOW), 8);
  });
});

describe('faults of a block from outside', () => {
  const sound = mustAssign(newBlock(CIDR, 'a', NOW), 'h').block;
  const cases: readonly { readonly name: string; readonly block: Block; readonly says: RegExp }[] = [
    {
      name: 'too few allocations',
      block: { ...sound, allocations: [null] },
      says: /1 entries, expected 8 for 10\.64\.0\.0\/29/,
    },
    {
      name: 'an ordinal held and free',
      block: { ...sound, unallocated: [...sound.unallocated, 0] },
      says: /ordinal 0 is both/,
    },
    {
      name: 'an ordinal neither held nor free',
      block: { ...sound, unallocated: sound.unallocated.slice(1) },
      says: /ordinal 1 is neither/,
    },
    {
      name: 'an ordinal free twice',
      block: { ...sound, unallocated: [...sound.unallocated, 7] },
      says: /occurs twice/,
    },
    {
      name: 'a free ordinal outside',
      block: { ...sound, unallocated: [...sound.unallocated, 8] },
      says: /ordinal 8 is outside/,
    },
    {
      name: 'an allocation without attribute',
      block: { ...sound, attributes: [] },
      says: /points at attribute 0, expected less than 0/,
    },
  ];
  for (const { name, block, says } of cases) {
    test(`${name} is named`, () => assert.match(blockFaults(block).join(), says));
  }
});

type Step =
  | { readonly kind: 'assign'; readonly handle: string; readonly count: number }
  | { readonly kind: 'release'; readonly handle: string }
  | { readonly kind: 'wait'; readonly seconds: number };

const HANDLE = fc.integer({ min: 0, max: 12 }).map((index) => `h${index}`);
const STEP: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('assign'), handle: HANDLE, count: fc.integer({ min: 1, max: 3 }) }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('release'), handle: HANDLE }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('wait'), seconds: fc.integer({ min: 1, max: 40 }) }) },
);

/** The naive truth: who holds which ordinals, and which ordinals rest until when. */
interface Model {
  readonly held: Map<string, Set<number>>;
  readonly resting: Map<number, number>;
}

test('any sequence of requests agrees with a naive set: never twice, never outside, nothing lost', () => {
  fc.assert(
    fc.property(fc.array(STEP, { maxLength: 60 }), fc.constantFrom(0, 30), (steps, cooldownSeconds) => {
      const model: Model = { held: new Map(), resting: new Map() };
      let block = newBlock(CIDR, 'a', NOW);
      let now = NOW;
      for (const step of steps) {
        const before = block.sequenceNumber;
        if (step.kind === 'wait') {
          now += step.seconds * 1000;
        } else {
          block =
            step.kind === 'assign'
              ? tryAssign(block, step, model, now, cooldownSeconds)
              : tryRelease(block, step, model, now, cooldownSeconds);
        }
        assert.ok(block.sequenceNumber >= before);
        assertAgrees(block, model);
      }
    }),
    { numRuns: 400 },
  );
});

function tryAssign(
  block: Block,
  step: Step & { kind: 'assign' },
  model: Model,
  now: number,
  cooldownSeconds: number,
): Block {
  const { handle, count } = step;
  const result = assign(block, { handle, attributes: {}, count, cooldownSeconds }, now);
  const mine = model.held.get(handle) ?? new Set<number>();
  const heldByAll = [...model.held.values()].reduce((sum, ordinals) => sum + ordinals.size, 0);
  const resting = [...model.resting.values()].filter((until) => until > now).length;
  const missing = Math.max(0, count - mine.size);
  assert.equal(result.kind, missing <= 8 - heldByAll - resting ? 'assigned' : 'refused');
  if (result.kind === 'refused') {
    return block;
  }
  assert.equal(new Set(result.ordinals).size, count);
  for (const ordinal of result.ordinals) {
    const others = [...model.held].filter(([other]) => other !== handle);
    assert.ok(ordinal >= 0 && ordinal < 8, 'outside the block');
    assert.ok(!others.some(([, ordinals]) => ordinals.has(ordinal)), 'handed out twice');
    assert.ok((model.resting.get(ordinal) ?? 0) <= now, 'handed out while it rests');
    mine.add(ordinal);
    model.resting.delete(ordinal);
  }
  model.held.set(handle, mine);
  return result.block;
}

function tryRelease(
  block: Block,
  step: Step & { kind: 'release' },
  model: Model,
  now: number,
  cooldownSeconds: number,
): Block {
  const result = release(block, { handle: step.handle, cooldownSeconds }, now);
  assert.ok(result.kind === 'released');
  const mine = [...(model.held.get(step.handle) ?? [])];
  assert.deepEqual(new Set(result.ordinals), new Set(mine));
  model.held.delete(step.handle);
  for (const ordinal of mine) {
    model.resting.set(ordinal, now + cooldownSeconds * 1000);
  }
  return result.block;
}

function assertAgrees(block: Block, model: Model): void {
  assert.deepEqual(blockFaults(block), []);
  for (const [handle, ordinals] of model.held) {
    assert.deepEqual(new Set(ordinalsOf(block, handle)), ordinals);
  }
  const held = [...holdings(block)].length;
  const cooling = block.allocations.filter((index) => index !== null).length - held;
  assert.equal(held + cooling + block.unallocated.length, 8, 'addresses are conserved');
  assert.equal(
    held,
    [...model.held.values()].reduce((sum, ordinals) => sum + ordinals.size, 0),
  );
}
