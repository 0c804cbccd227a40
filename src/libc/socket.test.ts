import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePrefix } from '#net';
import { encodeMd5Key } from './socket.ts';

/** struct tcp_md5sig on a little-endian machine: offsets of what is not zero. */
const rows: readonly [name: string, prefix: string, password: string | undefined, bytes: Record<number, number>][] = [
  ['an IPv4 address', '192.0.2.1/32', 'k', { 0: 2, 4: 192, 6: 2, 7: 1, 130: 1, 136: 107 }],
  ['an IPv4 range', '192.0.2.0/24', 'k', { 0: 2, 4: 192, 6: 2, 128: 1, 129: 24, 130: 1, 136: 107 }],
  ['a key that is removed', '192.0.2.1/32', undefined, { 0: 2, 4: 192, 6: 2, 7: 1 }],
  ['an IPv6 address', '2001:db8::1/128', 'k', { 0: 10, 8: 0x20, 9: 1, 10: 0x0d, 11: 0xb8, 23: 1, 130: 1, 136: 107 }],
  [
    'an IPv6 range',
    '2001:db8::/32',
    'é',
    { 0: 10, 8: 0x20, 9: 1, 10: 0x0d, 11: 0xb8, 128: 1, 129: 32, 130: 2, 136: 0xc3, 137: 0xa9 },
  ],
];
for (const [name, prefix, password, expected] of rows) {
  test(`the key of ${name} as the kernel reads it`, () => {
    const bytes = encodeMd5Key(parsePrefix(prefix), password);
    assert.equal(bytes.length, 216);
    const set = [...bytes.entries()].filter(([, byte]) => byte !== 0);
    assert.deepEqual(Object.fromEntries(set), expected);
  });
}

test('a key the kernel has no room for is refused, and no message repeats it', () => {
  const host = parsePrefix('192.0.2.1/32');
  assert.equal(encodeMd5Key(host, 'x'.repeat(80)).length, 216);
  for (const password of ['', 'x'.repeat(81)]) {
    assert.throws(
      () => encodeMd5Key(host, password),
      (error: Error) => /tcp md5 key is (empty|81 bytes)/.test(error.message) && !error.message.includes('xx'),
    );
  }
});
