import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import {
  comparePrefix,
  contains,
  makePrefix,
  nthSubprefix,
  overlaps,
  parsePrefix,
  type Prefix,
  prefixAddress,
  PrefixMap,
  splitPrefix,
} from '#net';
import { pool } from '../test/support/ipam-node.ts';
import { blockCandidates, eligiblePools, explainNoPool, overlappingPools } from './pool.ts';

const NONE = new PrefixMap<true>();

function existing(...cidrs: readonly string[]): PrefixMap<true> {
  return new PrefixMap(cidrs.map((cidr) => [parsePrefix(cidr), true]));
}

describe('eligible pools', () => {
  const pools = [
    pool('v6', 'fd00::/64', 122),
    pool('off', '10.1.0.0/16', 26, { disabled: true }),
    pool('elsewhere', '10.2.0.0/16', 26, { selectsNode: false }),
    pool('one', '10.3.0.0/16', 26),
    pool('two', '10.4.0.0/16', 28),
    pool('odd', '10.5.0.0/16', 12),
  ];
  test('are of the family, enabled, for this node and of possible block size, in the order given', () => {
    assert.deepEqual(
      eligiblePools(pools, 4).map(({ name }) => name),
      ['one', 'two'],
    );
    assert.deepEqual(
      eligiblePools(pools, 6).map(({ name }) => name),
      ['v6'],
    );
  });

  test('that are none are explained one by one', () => {
    assert.equal(
      explainNoPool(
        pools.filter(({ name }) => name === 'off' || name === 'elsewhere'),
        4,
      ),
      'no IPv4 pool serves this node: off (10.1.0.0/16) is disabled, elsewhere (10.2.0.0/16) does not select this node',
    );
  });
});

describe('block candidates', () => {
  const small = pool('small', '10.0.0.0/24', 26);

  test('are every block of the pool once, from a place that depends on the node', () => {
    const starts = new Set<Prefix | undefined>();
    for (let index = 0; index < 40; index += 1) {
      const candidates = [...blockCandidates(small, `node-${index}`, { existing: NONE })];
      assert.deepEqual(candidates.toSorted(comparePrefix), [...splitPrefix(small.cidr, 26)]);
      starts.add(candidates[0]);
    }
    assert.equal(starts.size, 4);
  });

  test('are the same each time for one node', () => {
    assert.deepEqual(
      [...blockCandidates(small, 'a', { existing: NONE })],
      [...blockCandidates(small, 'a', { existing: NONE })],
    );
  });

  for (const { name, taken, left } of [
    { name: 'of the same size', taken: ['10.0.0.64/26'], left: ['10.0.0.0/26', '10.0.0.128/26', '10.0.0.192/26'] },
    { name: 'of a smaller size', taken: ['10.0.0.68/30'], left: ['10.0.0.0/26', '10.0.0.128/26', '10.0.0.192/26'] },
    { name: 'of a larger size', taken: ['10.0.0.128/25'], left: ['10.0.0.0/26', '10.0.0.64/26'] },
    { name: 'larger than the pool', taken: ['10.0.0.0/20'], left: [] },
    { name: 'as large as the pool', taken: ['10.0.0.0/24'], left: [] },
  ]) {
    test(`leave out what overlaps an existing block ${name}`, () => {
      for (const node of ['a', 'b', 'c', 'd', 'e', 'f']) {
        assert.deepEqual([...blockCandidates(small, node, { existing: existing(...taken) })].toSorted(), left);
      }
    });
  }

  test('of a huge pool come at once, however many exist next to the start', () => {
    const huge = pool('huge', 'fd00::/8', 122);
    const [start] = blockCandidates(huge, 'a', { existing: NONE });
    assert.ok(start);
    const taken = new PrefixMap<true>();
    for (const cidr of blockCandidates(huge, 'a', { existing: NONE })) {
      taken.set(taken.size % 100 === 0 ? makePrefix(prefixAddress(cidr), 121) : cidr, true);
      if (taken.size === 2000) {
        break;
      }
    }
    const [next] = blockCandidates(huge, 'a', { existing: taken });
    assert.ok(next !== undefined && next !== start);
    assert.ok([...taken.keys()].every((cidr) => !overlaps(cidr, next)));
  });

  test('never overlap an existing block, and miss none that is free, whatever exists', () => {
    const anyBlock = fc
      .integer({ min: 22, max: 30 })
      .chain((length) =>
        fc.bigInt({ min: 0n, max: (1n << BigInt(length - 22)) - 1n }).map((index) => ({ length, index })),
      )
      .map(({ length, index }) => nthSubprefix(parsePrefix('10.0.0.0/22'), length, index));
    fc.assert(
      fc.property(
        fc.array(anyBlock, { maxLength: 12 }),
        fc.string(),
        fc.integer({ min: 24, max: 29 }),
        (taken, node, size) => {
          const p = pool('p', '10.0.1.0/24', size);
          const candidates = [
            ...blockCandidates(p, node, { existing: new PrefixMap(taken.map((cidr) => [cidr, true])) }),
          ];
          const free = [...splitPrefix(p.cidr, size)].filter((cidr) => !taken.some((other) => overlaps(cidr, other)));
          assert.deepEqual(candidates.toSorted(), free.toSorted());
          assert.ok(candidates.every((cidr) => contains(p.cidr, cidr)));
        },
      ),
    );
  });
});

describe('overlapping pools', () => {
  test('are named in pairs, whatever their order and however deep they nest', () => {
    const pools = [
      pool('inner', '10.0.1.0/24', 26),
      pool('alone', '10.1.0.0/16', 26),
      pool('outer', '10.0.0.0/16', 26),
      pool('v6', 'fd00::/64', 122),
      pool('same', '10.0.1.0/24', 28),
    ];
    assert.deepEqual(
      overlappingPools(pools).map(({ reason }) => reason),
      [
        'pool inner (10.0.1.0/24) overlaps pool outer (10.0.0.0/16)',
        'pool same (10.0.1.0/24) overlaps pool outer (10.0.0.0/16)',
        'pool same (10.0.1.0/24) overlaps pool inner (10.0.1.0/24)',
      ],
    );
  });

  test('agree with comparing every pair', () => {
    const anyPool = fc
      .record({ length: fc.integer({ min: 8, max: 12 }), index: fc.integer({ min: 0, max: 15 }), id: fc.nat() })
      .map(({ length, index, id }) => {
        const cidr = nthSubprefix(parsePrefix('10.0.0.0/8'), length, index % 2 ** (length - 8));
        return pool(`p${id}`, cidr, 26);
      });
    fc.assert(
      fc.property(fc.array(anyPool, { maxLength: 10 }), (pools) => {
        const pairs = pools.flatMap((a, index) => pools.slice(index + 1).filter((b) => overlaps(a.cidr, b.cidr)));
        assert.equal(overlappingPools(pools).length, pairs.length);
      }),
    );
  });
});
