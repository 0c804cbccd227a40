/** Prefixes against tables, laws, and the ip-address library as an oracle of containment. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { Address4, Address6 } from 'ip-address';
import {
  AddressError,
  type AddressErrorCode,
  addressCount,
  comparePrefix,
  contains,
  containsIp,
  hostPrefix,
  type Ip,
  ipFromBytes,
  ipToBytes,
  makePrefix,
  maxLength,
  nthAddress,
  nthSubprefix,
  ordinalOf,
  overlaps,
  parseIp,
  parsePrefix,
  type Prefix,
  prefixAddress,
  prefixFamily,
  prefixFromBytes,
  prefixLength,
  prefixToBytes,
  splitPrefix,
  subprefixCount,
  summarise,
  tryParsePrefix,
} from './index.ts';

const accepted: readonly (readonly [string, string])[] = [
  ['0.0.0.0/0', '0.0.0.0/0'],
  ['10.0.0.0/8', '10.0.0.0/8'],
  ['10.64.0.64/26', '10.64.0.64/26'],
  ['255.255.255.255/32', '255.255.255.255/32'],
  ['128.0.0.0/1', '128.0.0.0/1'],
  ['::/0', '::/0'],
  ['0:0:0:0:0:0:0:0/0', '::/0'],
  ['8000::/1', '8000::/1'],
  ['2001:DB8::/32', '2001:db8::/32'],
  ['fd00:0:0:0::/64', 'fd00::/64'],
  ['fd00::c0/122', 'fd00::c0/122'],
  ['::1/128', '::1/128'],
  ['64:ff9b::10.0.0.0/104', '64:ff9b::a00:0/104'],
];

const refused: readonly { readonly text: string; readonly code: AddressErrorCode; readonly says: RegExp }[] = [
  { text: '', code: 'PREFIX_SYNTAX', says: /found nothing/ },
  { text: '10.0.0.1', code: 'PREFIX_SYNTAX', says: /expected a prefix length, such as 10\.0\.0\.1\/32/ },
  { text: '::1', code: 'PREFIX_SYNTAX', says: /such as ::1\/128/ },
  { text: '10.0.0.0/', code: 'PREFIX_SYNTAX', says: /length "" is not a decimal number from 0 to 32/ },
  { text: '/8', code: 'PREFIX_SYNTAX', says: /found nothing/ },
  { text: '10.0.0.0/8/9', code: 'PREFIX_SYNTAX', says: /length "8\/9"/ },
  { text: '10.0.0.0/33', code: 'PREFIX_LENGTH', says: /length "33" is not a decimal number from 0 to 32/ },
  { text: 'fd00::/129', code: 'PREFIX_LENGTH', says: /from 0 to 128/ },
  { text: '10.0.0.0/08', code: 'PREFIX_LENGTH', says: /length "08"/ },
  { text: '10.0.0.0/-1', code: 'PREFIX_SYNTAX', says: /length "-1"/ },
  { text: '10.0.0.0/8.0', code: 'PREFIX_SYNTAX', says: /length "8\.0"/ },
  { text: '10.0.0.0/ 8', code: 'PREFIX_SYNTAX', says: /length " 8"/ },
  { text: '10.0.0.0/255.0.0.0', code: 'PREFIX_SYNTAX', says: /length "255\.0\.0\.0"/ },
  { text: '10.0.0.0/99999999999999999999', code: 'PREFIX_LENGTH', says: /from 0 to 32/ },
  { text: '10.0/16', code: 'PREFIX_SYNTAX', says: /four octets/ },
  { text: '10.0.1.7/16', code: 'HOST_BITS', says: /expected 10\.0\.0\.0\/16 \(or 10\.0\.1\.7\/32 for one address\)/ },
  { text: '10.0.0.1/0', code: 'HOST_BITS', says: /expected 0\.0\.0\.0\/0/ },
  { text: '10.0.0.1/31', code: 'HOST_BITS', says: /expected 10\.0\.0\.0\/31/ },
  { text: '2001:db8::1/64', code: 'HOST_BITS', says: /expected 2001:db8::\/64 \(or 2001:db8::1\/128/ },
  { text: 'fe80::1%eth0/64', code: 'ADDRESS_ZONE', says: /a zone is no part/ },
  { text: '::ffff:10.0.0.0/104', code: 'ADDRESS_MAPPED', says: /expected the IPv4 address 10\.0\.0\.0/ },
];

describe('parsePrefix', () => {
  for (const [text, canonical] of accepted) {
    test(`reads ${text} as ${canonical}`, () => {
      assert.equal(parsePrefix(text), canonical);
      assert.equal(tryParsePrefix(text), canonical);
    });
  }
  for (const { text, code, says } of refused) {
    test(`refuses ${JSON.stringify(text)} with ${code}`, () => {
      assert.throws(
        () => parsePrefix(text),
        (error) =>
          error instanceof AddressError && error.code === code && error.text === text && says.test(error.message),
      );
      assert.equal(tryParsePrefix(text), undefined);
    });
  }
});

const bytes4 = fc.uint8Array({ minLength: 4, maxLength: 4 });
const bytes16 = fc.uint8Array({ minLength: 16, maxLength: 16 });
const anyIp = fc.oneof(bytes4, bytes16).map((bytes) => ipFromBytes(bytes));
/** Prefixes crowded into few bits, so that containment, equality and adjacency are common, in both families. */
const crowded = fc.tuple(fc.constantFrom<4 | 6>(4, 6), fc.nat(255), fc.nat(8)).map(([family, high, length]) => {
  const bytes = new Uint8Array(family === 4 ? 4 : 16);
  bytes[0] = high;
  return makePrefix(ipFromBytes(bytes), length);
});
const anyPrefix = fc.oneof(
  crowded,
  fc
    .tuple(anyIp, fc.nat(128))
    .map(([ip, length]) => makePrefix(ip, length % (maxLength(ip.includes(':') ? 6 : 4) + 1))),
);

function oracle(text: string): Address4 | Address6 {
  return text.includes(':') ? new Address6(text) : new Address4(text);
}

function oracleContains(outer: Prefix, inner: string): boolean {
  const [a, b] = [oracle(outer), oracle(inner)];
  return a instanceof Address4 ? b instanceof Address4 && b.isInSubnet(a) : b instanceof Address6 && b.isInSubnet(a);
}

describe('prefixes', () => {
  test('the parts of a prefix put together are the prefix', () => {
    fc.assert(
      fc.property(anyPrefix, (prefix) => {
        assert.equal(parsePrefix(prefix), prefix);
        assert.equal(makePrefix(prefixAddress(prefix), prefixLength(prefix)), prefix);
        assert.equal(`${prefixAddress(prefix)}/${prefixLength(prefix)}`, prefix);
        assert.equal(prefixFamily(prefix), prefix.includes(':') ? 6 : 4);
      }),
    );
  });

  test('bytes on the wire and text are two forms of one prefix', () => {
    fc.assert(
      fc.property(anyPrefix, fc.nat(5), (prefix, offset) => {
        const bytes = prefixToBytes(prefix);
        assert.equal(bytes.length, Math.ceil(prefixLength(prefix) / 8));
        const wire = new Uint8Array(offset + bytes.length + 3).fill(0xff);
        wire.set(bytes, offset);
        assert.equal(prefixFromBytes(prefixFamily(prefix), wire, offset, prefixLength(prefix)), prefix);
      }),
    );
  });

  test('bits on the wire after the length are ignored', () => {
    assert.equal(prefixFromBytes(4, Uint8Array.of(10, 0xff), 0, 9), '10.128.0.0/9');
    assert.equal(prefixFromBytes(4, new Uint8Array(0), 0, 0), '0.0.0.0/0');
    assert.equal(prefixFromBytes(6, Uint8Array.of(0xfd, 0xff), 0, 10), 'fdc0::/10');
  });

  test('a length too large or bytes too few on the wire are refused', () => {
    const bytes = new Uint8Array(4);
    assert.throws(() => prefixFromBytes(4, bytes, 0, 33), { code: 'PREFIX_LENGTH' });
    assert.throws(() => prefixFromBytes(6, bytes, 0, 129), { code: 'PREFIX_LENGTH' });
    assert.throws(() => prefixFromBytes(4, bytes, 0, -1), { code: 'PREFIX_LENGTH' });
    assert.throws(() => prefixFromBytes(4, bytes, 2, 17), {
      code: 'ADDRESS_BYTES',
      message: /expected 3 bytes, found 2/,
    });
    assert.throws(() => prefixFromBytes(6, bytes, 0, 33), { code: 'ADDRESS_BYTES' });
    assert.throws(() => prefixFromBytes(4, bytes, -1, 8), { code: 'ADDRESS_BYTES' });
  });

  test('makePrefix clears the host bits and refuses a wrong length', () => {
    assert.equal(makePrefix(parseIp('10.64.3.9'), 26), '10.64.3.0/26');
    assert.equal(makePrefix(parseIp('fd00::dead'), 122), 'fd00::de80/122');
    assert.equal(makePrefix(parseIp('10.64.3.9'), 0), '0.0.0.0/0');
    for (const length of [33, -1, 1.5, Number.NaN]) {
      assert.throws(() => makePrefix(parseIp('10.0.0.0'), length), { code: 'PREFIX_LENGTH' });
    }
  });

  test('hostPrefix is the prefix of one address', () => {
    assert.equal(hostPrefix(parseIp('10.0.0.1')), '10.0.0.1/32');
    assert.equal(hostPrefix(parseIp('::')), '::/128');
  });
});

describe('containment', () => {
  test('agrees with ip-address', () => {
    fc.assert(
      fc.property(anyPrefix, anyPrefix, (a, b) => {
        assert.equal(contains(a, b), oracleContains(a, b));
        assert.equal(overlaps(a, b), oracleContains(a, b) || oracleContains(b, a));
      }),
      { numRuns: 2000 },
    );
    fc.assert(
      fc.property(anyPrefix, anyIp, (prefix, ip) => {
        assert.equal(containsIp(prefix, ip), oracleContains(prefix, ip));
        assert.equal(containsIp(prefix, ip), contains(prefix, hostPrefix(ip)));
      }),
    );
  });

  test('a prefix contains itself, its first and its last address', () => {
    fc.assert(
      fc.property(anyPrefix, (prefix) => {
        assert.ok(contains(prefix, prefix));
        assert.ok(containsIp(prefix, prefixAddress(prefix)));
        assert.ok(containsIp(prefix, nthAddress(prefix, addressCount(prefix) - 1n)));
      }),
    );
  });

  test('never crosses the families', () => {
    assert.equal(contains(parsePrefix('0.0.0.0/0'), parsePrefix('::/0')), false);
    assert.equal(contains(parsePrefix('::/0'), parsePrefix('0.0.0.0/0')), false);
    assert.equal(overlaps(parsePrefix('::/0'), parsePrefix('10.0.0.0/8')), false);
    assert.equal(containsIp(parsePrefix('::/0'), parseIp('10.0.0.1')), false);
  });
});

describe('counting', () => {
  test('addressCount is a power of two of the host bits', () => {
    assert.equal(addressCount(parsePrefix('10.0.0.0/26')), 64n);
    assert.equal(addressCount(parsePrefix('10.0.0.1/32')), 1n);
    assert.equal(addressCount(parsePrefix('0.0.0.0/0')), 1n << 32n);
    assert.equal(addressCount(parsePrefix('::/0')), 1n << 128n);
  });

  test('ordinalOf inverts nthAddress', () => {
    fc.assert(
      fc.property(anyPrefix, fc.maxSafeNat(), (prefix, n) => {
        const index = Number(BigInt(n) % addressCount(prefix));
        const ip = nthAddress(prefix, index);
        assert.equal(ip, nthAddress(prefix, BigInt(index)));
        assert.ok(containsIp(prefix, ip));
        assert.equal(ordinalOf(prefix, ip), index);
      }),
    );
  });

  test('an address number outside the prefix is refused', () => {
    const block = parsePrefix('10.0.0.64/26');
    for (const n of [64, -1, 0.5, Number.NaN, 64n, -1n])
      assert.throws(() => nthAddress(block, n), { code: 'OUT_OF_RANGE' });
    assert.throws(() => nthAddress(parsePrefix('fd00::/122'), 64), {
      code: 'OUT_OF_RANGE',
      message: /expected 0 to 63/,
    });
    assert.throws(() => nthAddress(parsePrefix('fd00::/64'), 0.5), { code: 'OUT_OF_RANGE' });
    assert.equal(nthAddress(parsePrefix('0.0.0.0/0'), 0xffffffff), '255.255.255.255');
  });

  test('an ordinal outside the prefix or past 2^53 is refused', () => {
    assert.throws(() => ordinalOf(parsePrefix('10.0.0.64/26'), parseIp('10.0.0.128')), { code: 'OUT_OF_RANGE' });
    assert.throws(() => ordinalOf(parsePrefix('10.0.0.64/26'), parseIp('::')), { code: 'OUT_OF_RANGE' });
    assert.throws(() => ordinalOf(parsePrefix('::/0'), parseIp('ffff::')), { code: 'OUT_OF_RANGE', message: /2\^53/ });
    assert.equal(ordinalOf(parsePrefix('::/0'), parseIp('::1f:ffff:ffff:ffff')), Number.MAX_SAFE_INTEGER);
  });

  test('subprefixes are numbered in order and cover the prefix exactly', () => {
    fc.assert(
      fc.property(anyPrefix, fc.nat(6), (prefix, more) => {
        const length = Math.min(maxLength(prefixFamily(prefix)), prefixLength(prefix) + more);
        const parts = [...splitPrefix(prefix, length)];
        assert.equal(BigInt(parts.length), subprefixCount(prefix, length));
        assert.deepEqual(parts, [...parts].sort(comparePrefix));
        for (const [index, part] of parts.entries()) {
          assert.equal(nthSubprefix(prefix, length, index), part);
          assert.ok(contains(prefix, part));
        }
        assert.deepEqual(summarise(parts), [prefix]);
      }),
    );
  });

  test('a huge prefix splits lazily', () => {
    const parts = splitPrefix(parsePrefix('fd00::/8'), 122)[Symbol.iterator]();
    assert.equal(parts.next().value, 'fd00::/122');
    assert.equal(parts.next().value, 'fd00::40/122');
    assert.equal(subprefixCount(parsePrefix('::/0'), 128), 1n << 128n);
    assert.equal(
      nthSubprefix(parsePrefix('::/0'), 128, (1n << 128n) - 1n),
      'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128',
    );
  });

  test('an Iterable of parts can be walked again', () => {
    const parts = splitPrefix(parsePrefix('10.0.0.0/24'), 25);
    assert.deepEqual([...parts], [...parts]);
  });

  test('a split into a shorter or impossible length, or a part that is not there, is refused at once', () => {
    assert.throws(() => splitPrefix(parsePrefix('10.0.0.0/24'), 23), { code: 'PREFIX_LENGTH' });
    assert.throws(() => splitPrefix(parsePrefix('10.0.0.0/24'), 33), { code: 'PREFIX_LENGTH' });
    assert.throws(() => nthSubprefix(parsePrefix('10.0.0.0/24'), 26, 4), { code: 'OUT_OF_RANGE' });
    assert.throws(() => nthSubprefix(parsePrefix('10.0.0.0/24'), 26, -1), { code: 'OUT_OF_RANGE' });
  });
});

describe('comparePrefix', () => {
  test('sorts families, then addresses, then a covering prefix before what it covers', () => {
    const sorted = [
      '0.0.0.0/0',
      '9.0.0.0/8',
      '10.0.0.0/8',
      '10.0.0.0/9',
      '10.0.0.0/32',
      '200.0.0.0/8',
      '::/0',
      '8000::/1',
    ];
    assert.deepEqual(sorted.map(parsePrefix).reverse().sort(comparePrefix), sorted);
  });
});

describe('summarise', () => {
  const cases: readonly { readonly name: string; readonly from: readonly string[]; readonly to: readonly string[] }[] =
    [
      { name: 'nothing to nothing', from: [], to: [] },
      { name: 'one prefix to itself', from: ['10.0.0.0/24'], to: ['10.0.0.0/24'] },
      { name: 'duplicates to one', from: ['10.0.0.0/24', '10.0.0.0/24'], to: ['10.0.0.0/24'] },
      { name: 'halves to the whole', from: ['10.0.1.0/24', '10.0.0.0/24'], to: ['10.0.0.0/23'] },
      {
        name: 'neighbours of different parents to themselves',
        from: ['10.0.1.0/24', '10.0.2.0/24'],
        to: ['10.0.1.0/24', '10.0.2.0/24'],
      },
      { name: 'a covered prefix to its cover', from: ['10.0.0.0/8', '10.3.0.0/16'], to: ['10.0.0.0/8'] },
      {
        name: 'a cascade of halves',
        from: ['10.0.0.0/25', '10.0.0.128/26', '10.0.0.192/27', '10.0.0.224/27'],
        to: ['10.0.0.0/24'],
      },
      { name: 'the two halves of everything', from: ['128.0.0.0/1', '0.0.0.0/1'], to: ['0.0.0.0/0'] },
      { name: 'families apart', from: ['8000::/1', '0.0.0.0/0', '::/1'], to: ['0.0.0.0/0', '::/0'] },
    ];
  for (const { name, from, to } of cases) {
    test(`takes ${name}`, () => assert.deepEqual(summarise(from.map(parsePrefix)), to));
  }

  test('covers the same addresses with the fewest prefixes, sorted', () => {
    fc.assert(
      fc.property(fc.array(crowded, { maxLength: 40 }), (prefixes) => {
        const cover = summarise(prefixes);
        assert.deepEqual(cover, [...cover].sort(comparePrefix));
        assert.deepEqual(summarise(cover), cover);
        for (const family of [4, 6] as const) {
          const covered = (set: readonly Prefix[]): boolean[] =>
            Array.from({ length: 256 }, (_, high) => set.some((prefix) => containsIp(prefix, highByte(family, high))));
          const slots = covered(prefixes);
          assert.deepEqual(covered(cover), slots);
          const own = cover.filter((prefix) => prefixFamily(prefix) === family);
          assert.equal(own.length, fewest(slots));
        }
      }),
    );
  });
});

function highByte(family: 4 | 6, high: number): Ip {
  const bytes = new Uint8Array(ipToBytes(parseIp(family === 4 ? '0.0.0.0' : '::')).length);
  bytes[0] = high;
  return ipFromBytes(bytes);
}

/** The least number of aligned power-of-two runs that make up the set slots: a full half counts as one. */
function fewest(slots: readonly boolean[]): number {
  if (slots.every(Boolean)) return 1;
  if (!slots.some(Boolean)) return 0;
  const half = slots.length / 2;
  return fewest(slots.slice(0, half)) + fewest(slots.slice(half));
}
