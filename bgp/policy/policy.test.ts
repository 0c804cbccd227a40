import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseIp, parsePrefix } from '#net';
import { evaluate, type RoutePolicy } from './policy.ts';

const mesh: RoutePolicy = {
  rules: [
    {
      name: 'own block',
      match: { prefixes: [{ prefix: parsePrefix('10.64.0.0/26'), minLength: 26, maxLength: 32 }] },
      action: 'reject',
    },
    {
      name: 'pools via the node',
      match: {
        prefixes: [
          { prefix: parsePrefix('10.64.0.0/16'), minLength: 26, maxLength: 32 },
          { prefix: parsePrefix('2001:db8::/48'), minLength: 64, maxLength: 128 },
        ],
        nextHops: [parseIp('192.0.2.2'), parseIp('2001:db8:0:1::2')],
      },
      action: 'accept',
    },
  ],
  default: 'reject',
};

const rows: readonly [prefix: string, nextHop: string | undefined, action: string, rule: string][] = [
  ['10.64.1.0/26', '192.0.2.2', 'accept', 'pools via the node'],
  ['10.64.1.7/32', '192.0.2.2', 'accept', 'pools via the node'],
  ['10.64.1.0/26', '192.0.2.3', 'reject', 'default'], // another next hop
  ['10.64.1.0/26', undefined, 'reject', 'default'],
  ['10.64.0.0/26', '192.0.2.2', 'reject', 'own block'], // the first rule that matches
  ['10.64.0.1/32', '192.0.2.2', 'reject', 'own block'],
  ['10.64.0.0/25', '192.0.2.2', 'reject', 'default'], // too short
  ['0.0.0.0/0', '192.0.2.2', 'reject', 'default'],
  ['10.65.0.0/26', '192.0.2.2', 'reject', 'default'],
  ['2001:db8:0:7::/64', '2001:db8:0:1::2', 'accept', 'pools via the node'],
  ['::/0', '2001:db8:0:1::2', 'reject', 'default'],
];

for (const [prefix, nextHop, action, rule] of rows) {
  test(`${prefix} via ${nextHop ?? 'nothing'}: ${action} by ${rule}`, () => {
    const verdict = evaluate(mesh, parsePrefix(prefix), nextHop === undefined ? undefined : parseIp(nextHop));
    assert.deepEqual(verdict, { action, rule });
  });
}
