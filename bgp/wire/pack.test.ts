import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Family, ipFromBytes, type Ip, makePrefix, parseIp, parsePrefix, type Prefix } from '#net';
import * as fc from 'fast-check';
import type { AsSegment, PathAttributes, UnknownAttribute } from './attribute/attributes.ts';
import { EMPTY_ATTRIBUTES } from './attribute/attributes.ts';
import { checkNextHop } from './attribute/next-hop.ts';
import { ATTRIBUTE_TABLE, KEPT_INSIDE } from './attribute/table.ts';
import type { WireContext } from './context.ts';
import { formatHex } from './hex.ts';
import { type AnnouncedGroup, encodeEndOfRib, encodeUpdates } from './pack.ts';
import { FULL_CONTEXT } from './testing.ts';
import { decodeUpdate, type UpdateMessage } from './update.ts';

/** Plain objects, as decoders make them. */
function record<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true });
}

const u32 = fc.integer({ min: 0, max: 0xffffffff });
const as = fc.oneof(fc.integer({ min: 1, max: 0xffff }), fc.integer({ min: 1, max: 0xffffffff }));

function ip(family: Family): fc.Arbitrary<Ip> {
  const length = family === 4 ? 4 : 16;
  return fc.uint8Array({ minLength: length, maxLength: length }).map(ipFromBytes);
}

function nextHop(family: Family): fc.Arbitrary<Ip> {
  const length = family === 4 ? 4 : 16;
  const bytes = fc.uint8Array({ minLength: length, maxLength: length });
  return bytes.filter((address) => checkNextHop(address) === undefined).map(ipFromBytes);
}

function prefix(family: Family): fc.Arbitrary<Prefix> {
  return fc.tuple(ip(family), fc.integer({ min: 0, max: family === 4 ? 32 : 128 })).map(([a, n]) => makePrefix(a, n));
}

const segment: fc.Arbitrary<AsSegment> = record({
  kind: fc.constantFrom('sequence' as const, 'set' as const),
  asns: fc.array(as, { minLength: 1, maxLength: 20 }),
});

const KNOWN = new Set(ATTRIBUTE_TABLE.map((row) => row.code));
const unknown: fc.Arbitrary<UnknownAttribute> = record({
  flags: fc.constant(0xe0),
  code: fc.integer({ min: 0, max: 255 }).filter((code) => !KNOWN.has(code) && !KEPT_INSIDE.has(code)),
  value: fc.uint8Array({ maxLength: 300 }),
});

const attributes: fc.Arbitrary<PathAttributes> = record<PathAttributes>({
  origin: fc.constantFrom('igp' as const, 'egp' as const, 'incomplete' as const),
  asPath: fc.array(segment, { maxLength: 3 }),
  med: fc.option(u32, { nil: undefined }),
  localPref: fc.option(u32, { nil: undefined }),
  atomicAggregate: fc.boolean(),
  aggregator: fc.option(record({ as, ip: ip(4) }), { nil: undefined }),
  communities: fc.array(u32, { maxLength: 100 }),
  largeCommunities: fc.array(record({ global: u32, local1: u32, local2: u32 }), { maxLength: 5 }),
  extendedCommunities: fc.array(fc.uint8Array({ minLength: 8, maxLength: 8 }), { maxLength: 5 }),
  originatorId: fc.option(ip(4), { nil: undefined }),
  clusterList: fc.array(ip(4), { maxLength: 3 }),
  unknown: fc
    .uniqueArray(unknown, { selector: (item) => item.code, maxLength: 3 })
    .map((items) => items.toSorted((a, b) => a.code - b.code)),
  partial: fc.constant(undefined),
});

const group: fc.Arbitrary<AnnouncedGroup> = fc.constantFrom<Family>(4, 6).chain((family) =>
  record<AnnouncedGroup>({
    attributes,
    family: fc.constant(family),
    nextHop: nextHop(family),
    prefixes: fc.array(prefix(family), { minLength: 1, maxLength: 400 }),
  }),
);

const context: fc.Arbitrary<WireContext> = record<WireContext>({
  fourOctetAs: fc.boolean(),
  extendedMessages: fc.boolean(),
  peerType: fc.constantFrom('ebgp' as const, 'ibgp' as const),
  families: fc.constant<readonly Family[]>([4, 6]),
});

/** What a peer of this session type can be told of the attributes. */
function asSent(value: PathAttributes, { peerType }: WireContext): PathAttributes {
  return peerType === 'ibgp' ? value : { ...value, localPref: undefined, originatorId: undefined, clusterList: [] };
}

function decodeAll(messages: readonly Uint8Array[], session: WireContext): UpdateMessage[] {
  return messages.map((bytes) => {
    const message = decodeUpdate(bytes, session);
    assert.deepEqual(message.errors, []);
    return message;
  });
}

describe('packing UPDATEs', () => {
  test('every announcement decodes back to itself, in order, in messages no longer than agreed', () => {
    fc.assert(
      fc.property(group, context, (given, session) => {
        const messages = encodeUpdates({ withdrawn: [], announced: [given] }, session);
        for (const bytes of messages) assert.ok(bytes.length <= (session.extendedMessages ? 65535 : 4096));
        const decoded = decodeAll(messages, session);
        const announced = decoded.flatMap((message) => message.announced);
        assert.deepEqual(
          announced,
          given.prefixes.map((item) => ({ prefix: item, nextHop: given.nextHop })),
        );
        for (const message of decoded) assert.deepEqual(message.attributes, asSent(given.attributes, session));
      }),
    );
  });

  test('every withdrawal decodes back to itself', () => {
    const mixed = fc.array(fc.oneof(prefix(4), prefix(6)), { maxLength: 3000 });
    fc.assert(
      fc.property(mixed, context, (withdrawn, session) => {
        const decoded = decodeAll(encodeUpdates({ withdrawn, announced: [] }, session), session);
        const back = decoded.flatMap((message) => message.withdrawn);
        const isIpv6 = (item: Prefix): boolean => item.includes(':');
        assert.deepEqual(back, [...withdrawn.filter((item) => !isIpv6(item)), ...withdrawn.filter(isIpv6)]);
      }),
      { numRuns: 30 },
    );
  });

  test('fills messages: all but the last of a group have no room for one more prefix', () => {
    const prefixes = Array.from({ length: 5000 }, (_, n) => parsePrefix(`10.${n >> 8}.${n & 255}.0/24`));
    const announced = [{ attributes: EMPTY_ATTRIBUTES, family: 4 as const, nextHop: parseIp('192.0.2.1'), prefixes }];
    const messages = encodeUpdates({ withdrawn: [], announced }, FULL_CONTEXT);
    assert.equal(messages.length, 5);
    for (const bytes of messages.slice(0, -1)) assert.ok(bytes.length > 4092 && bytes.length <= 4096);
  });

  test('puts withdrawals first, one kind of prefixes per message, and MP attributes in front', () => {
    const via6 = parseIp('2001:db8::1');
    const messages = encodeUpdates(
      {
        withdrawn: [parsePrefix('2001:db8:2::/48'), parsePrefix('10.2.0.0/16')],
        announced: [
          { attributes: EMPTY_ATTRIBUTES, family: 6, nextHop: via6, prefixes: [parsePrefix('2001:db8:1::/48')] },
          {
            attributes: EMPTY_ATTRIBUTES,
            family: 4,
            nextHop: parseIp('192.0.2.1'),
            prefixes: [parsePrefix('10.1.0.0/16')],
          },
        ],
      },
      FULL_CONTEXT,
    );
    assert.deepEqual(
      messages.map((bytes) => formatHex(bytes.subarray(19))),
      [
        '0003 100a02 0000',
        '0000 000e 900f000a 000201 3020010db80002',
        '0000 0027 900e001c 000201 10 20010db8000000000000000000000001 00 3020010db80001 40010100 400200',
        '0000 000e 40010100 400200 400304c0000201 100a01',
      ].map((hex) => hex.replaceAll(' ', '')),
    );
  });

  test('withdraws what cannot be announced because its attributes fill a message', () => {
    const unknown = [{ flags: 0xe0, code: 99, value: new Uint8Array(4070) }];
    const announced = [
      {
        attributes: { ...EMPTY_ATTRIBUTES, unknown },
        family: 4 as const,
        nextHop: parseIp('192.0.2.1'),
        prefixes: [parsePrefix('10.1.0.0/16')],
      },
    ];
    const [plain, ...more] = decodeAll(encodeUpdates({ withdrawn: [], announced }, FULL_CONTEXT), FULL_CONTEXT);
    assert.deepEqual([plain?.withdrawn, plain?.announced, more], [['10.1.0.0/16'], [], []]);
    const extended = { ...FULL_CONTEXT, extendedMessages: true };
    const [long] = decodeAll(encodeUpdates({ withdrawn: [], announced }, extended), extended);
    assert.equal(long?.announced.length, 1);
  });

  test('sends IPv4 routes with an IPv6 next hop in MP_REACH_NLRI (RFC 8950)', () => {
    const session = { ...FULL_CONTEXT, extendedNextHop: true };
    const prefixes = [parsePrefix('10.1.0.0/16')];
    const announced = [{ attributes: EMPTY_ATTRIBUTES, family: 4 as const, nextHop: parseIp('2001:db8::1'), prefixes }];
    const [message] = decodeAll(encodeUpdates({ withdrawn: [], announced }, session), session);
    assert.deepEqual(message?.announced, [{ prefix: '10.1.0.0/16', nextHop: '2001:db8::1' }]);
  });

  test('refuses an IPv4 next hop for IPv6 routes, which is our own fault', () => {
    const prefixes = [parsePrefix('2001:db8::/32')];
    const announced = [{ attributes: EMPTY_ATTRIBUTES, family: 6 as const, nextHop: parseIp('192.0.2.1'), prefixes }];
    assert.throws(() => encodeUpdates({ withdrawn: [], announced }, FULL_CONTEXT), RangeError);
  });

  test('has nothing to say about nothing', () => {
    assert.deepEqual(encodeUpdates({ withdrawn: [], announced: [] }, FULL_CONTEXT), []);
  });

  for (const family of [4, 6] as const) {
    test(`marks the end of the IPv${family} routes so that it is understood`, () => {
      const message = decodeUpdate(encodeEndOfRib(family), FULL_CONTEXT);
      assert.equal(message.endOfRib, family);
      assert.deepEqual([message.withdrawn, message.announced, message.errors], [[], [], []]);
    });
  }
});
