/** PrefixMap against a plain Map and a linear scan: same answers after any sequence of set and delete. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import {
  comparePrefix,
  contains,
  hostPrefix,
  ipFromBytes,
  makePrefix,
  parseIp,
  parsePrefix,
  type Prefix,
  PrefixMap,
  prefixAddress,
  prefixLength,
} from './index.ts';

/** Prefixes from few bits at the start and the end of the address, so that sets nest, branch and collide. */
const crowded = fc
  .tuple(
    fc.constantFrom<4 | 6>(4, 6),
    fc.nat(7),
    fc.nat(3),
    fc.constantFrom(0, 1, 2, 3, 4, 5, 24, 30, 31, 32, 126, 127, 128),
  )
  .map(([family, high, low, length]) => {
    const bytes = new Uint8Array(family === 4 ? 4 : 16);
    bytes[0] = high << 5;
    bytes[bytes.length - 1] = low;
    return makePrefix(ipFromBytes(bytes), Math.min(length, family === 4 ? 32 : 128));
  });

type Step =
  | { readonly kind: 'set'; readonly prefix: Prefix; readonly value: number }
  | { readonly kind: 'delete'; readonly prefix: Prefix };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('set' as const), prefix: crowded, value: fc.nat(9) }),
  fc.record({ kind: fc.constant('delete' as const), prefix: crowded }),
);

describe('PrefixMap', () => {
  test('answers like a linear scan after any sequence of changes', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.array(crowded, { maxLength: 10 }), (steps, probes) => {
        const map = new PrefixMap<number>();
        const model = new Map<Prefix, number>();
        for (const change of steps) {
          if (change.kind === 'set') {
            map.set(change.prefix, change.value);
            model.set(change.prefix, change.value);
          } else {
            assert.equal(map.delete(change.prefix), model.delete(change.prefix));
          }
          assert.equal(map.size, model.size);
        }
        const sorted = [...model].sort(([a], [b]) => comparePrefix(a, b));
        assert.deepEqual([...map], sorted);
        assert.deepEqual(
          [...map.keys()],
          sorted.map(([prefix]) => prefix),
        );
        assert.deepEqual(
          [...map.values()],
          sorted.map(([, value]) => value),
        );
        const entries = sorted.map(([prefix, value]) => ({ prefix, value }));
        for (const probe of [...probes, ...model.keys()]) {
          assert.equal(map.get(probe), model.get(probe));
          assert.equal(map.has(probe), model.has(probe));
          const covering = entries.filter(({ prefix }) => contains(prefix, probe));
          assert.deepEqual([...map.covering(probe)], covering);
          assert.deepEqual(map.longestMatch(probe), covering.at(-1));
          assert.deepEqual(
            [...map.coveredBy(probe)],
            entries.filter(({ prefix }) => contains(probe, prefix)),
          );
          const ip = prefixAddress(probe);
          assert.deepEqual(
            map.longestMatch(ip),
            entries.filter(({ prefix }) => contains(prefix, hostPrefix(ip))).at(-1),
          );
        }
      }),
      { numRuns: 1000 },
    );
  });

  test('does not depend on the order of insertion', () => {
    fc.assert(
      fc.property(fc.uniqueArray(crowded, { maxLength: 30 }), (prefixes) => {
        const forward = new PrefixMap(prefixes.map((prefix) => [prefix, prefix] as const));
        const backward = new PrefixMap(prefixes.toReversed().map((prefix) => [prefix, prefix] as const));
        assert.deepEqual([...forward], [...backward]);
      }),
    );
  });

  test('routes as a kernel does: the longest of default, aggregate and host route', () => {
    const routes = ['0.0.0.0/0', '10.64.0.0/16', '10.64.3.0/26', '10.64.3.7/32', '::/0', 'fd00::/64'];
    const map = new PrefixMap(routes.map((text) => [parsePrefix(text), text] as const));
    for (const [ip, route] of [
      ['192.0.2.1', '0.0.0.0/0'],
      ['10.64.9.1', '10.64.0.0/16'],
      ['10.64.3.8', '10.64.3.0/26'],
      ['10.64.3.7', '10.64.3.7/32'],
      ['fd00::1', 'fd00::/64'],
      ['fd00:0:0:1::', '::/0'],
    ] as const) {
      assert.equal(map.longestMatch(parseIp(ip))?.value, route);
    }
    assert.equal(map.longestMatch(parsePrefix('10.64.3.0/25'))?.value, '10.64.0.0/16');
  });

  test('keeps an undefined value apart from an absent one', () => {
    const map = new PrefixMap<undefined>([[parsePrefix('10.0.0.0/8'), undefined]]);
    assert.ok(map.has(parsePrefix('10.0.0.0/8')));
    assert.deepEqual(map.longestMatch(parseIp('10.1.1.1')), { prefix: '10.0.0.0/8', value: undefined });
  });

  test('finds nothing when empty, and is empty again after clear', () => {
    const map = new PrefixMap<number>();
    assert.equal(map.longestMatch(parseIp('::1')), undefined);
    assert.deepEqual([...map.coveredBy(parsePrefix('::/0'))], []);
    assert.equal(map.delete(parsePrefix('::/0')), false);
    map.set(parsePrefix('::/0'), 1);
    map.clear();
    assert.deepEqual([map.size, [...map]], [0, []]);
  });

  test('holds the deepest chain of nested prefixes', () => {
    const map = new PrefixMap<number>();
    for (let length = 0; length <= 128; length++) map.set(makePrefix(parseIp('::'), length), length);
    assert.equal(map.longestMatch(parseIp('::'))?.value, 128);
    assert.deepEqual(
      [...map.covering(parseIp('::'))].map(({ prefix }) => prefixLength(prefix)),
      [...Array(129).keys()],
    );
    for (let length = 0; length < 128; length++) assert.ok(map.delete(makePrefix(parseIp('::'), length)));
    assert.deepEqual([...map.keys()], ['::/128']);
  });
});
