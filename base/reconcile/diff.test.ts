/** diff on tables and its law: applying it to `actual` gives `desired`, and then nothing differs. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { type Diff, diff, isEmptyDiff } from './index.ts';

const same = (a: unknown, b: unknown): boolean => a === b;

describe('diff', () => {
  test('sorts keys into what to add, to change and to remove', () => {
    const desired = new Map([
      ['new', 1],
      ['kept', 2],
      ['moved', 3],
    ]);
    const actual = new Map([
      ['kept', 2],
      ['moved', 4],
      ['old', 5],
    ]);
    assert.deepEqual(diff(desired, actual, same), {
      add: new Map([['new', 1]]),
      change: new Map([['moved', { from: 4, to: 3 }]]),
      remove: new Map([['old', 5]]),
    });
  });

  test('takes the word of equal, not of ===', () => {
    const desired = new Map([['route', { via: '10.0.0.1' }]]);
    const actual = new Map([['route', { via: '10.0.0.1' }]]);
    assert.ok(isEmptyDiff(diff(desired, actual, (a, b) => a.via === b.via)));
    assert.equal(diff(desired, actual, same).change.size, 1);
  });

  test('tells an undefined value from an absent one', () => {
    const present = new Map<string, undefined>([['a', undefined]]);
    const absent = new Map<string, undefined>();
    assert.equal(diff(present, absent, same).add.size, 1);
    assert.equal(diff(absent, present, same).remove.size, 1);
    assert.ok(isEmptyDiff(diff(present, present, same)));
  });

  test('applied to actual gives desired, after which nothing differs', () => {
    const map = fc
      .dictionary(fc.constantFrom('a', 'b', 'c', 'd', 'e', '__proto__'), fc.nat(2))
      .map((o) => new Map(Object.entries(o)));
    fc.assert(
      fc.property(map, map, (desired, actual) => {
        const applied = apply(actual, diff(desired, actual, same));
        assert.deepEqual(applied, desired);
        assert.ok(isEmptyDiff(diff(desired, applied, same)));
      }),
    );
  });
});

function apply<K, V>(actual: ReadonlyMap<K, V>, { add, change, remove }: Diff<K, V>): ReadonlyMap<K, V> {
  const result = new Map(actual);
  for (const key of remove.keys()) assert.ok(result.delete(key));
  for (const [key, { from, to }] of change) {
    assert.equal(result.get(key), from);
    result.set(key, to);
  }
  for (const [key, value] of add) {
    assert.ok(!result.has(key));
    result.set(key, value);
  }
  return result;
}
