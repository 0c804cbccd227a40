import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parsePrefix } from '#net';
import { affinityName, blockName } from './names.ts';

describe('object names', () => {
  for (const [cidr, name] of [
    ['10.64.0.0/26', '10-64-0-0-26'],
    ['fd00:64:1::/122', 'fd00-64-1---122'],
  ] as const) {
    test(`of ${cidr} is ${name}, after the node's name for an affinity`, () => {
      assert.equal(blockName(parsePrefix(cidr)), name);
      assert.equal(affinityName('node-1.rack-a', parsePrefix(cidr)), `node-1.rack-a-${name}`);
    });
  }

  test('of affinities of nodes with the longest names fit, differ, and are valid object names', () => {
    const cidrs = [parsePrefix('10.64.0.0/26'), parsePrefix('10.64.0.64/26')];
    const nodes = [`${'a'.repeat(63)}.`.repeat(3) + 'b'.repeat(61), `${'a'.repeat(63)}.`.repeat(3) + 'c'.repeat(61)];
    const names = nodes.flatMap((node) => cidrs.map((cidr) => affinityName(node, cidr)));
    assert.equal(new Set(names).size, 4);
    for (const name of names) {
      assert.ok(name.length <= 253);
      assert.match(name, /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/);
    }
  });
});
