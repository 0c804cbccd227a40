import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseIp, parsePrefix } from '#net';
import { EMPTY_ATTRIBUTES, type PathAttributes } from './attribute/attributes.ts';
import type { WireContext } from './context.ts';
import { formatHex, parseHex } from './hex.ts';
import { decodeMessage } from './message.ts';
import { cutMessage, FULL_CONTEXT, messageOf, outcome } from './testing.ts';
import { decodeUpdate, formatUpdate, type UpdateMessage } from './update.ts';

const TWO_OCTETS: WireContext = { ...FULL_CONTEXT, fourOctetAs: false };
const IPV4_ONLY: WireContext = { ...FULL_CONTEXT, families: [4] };
const IPV6_ONLY: WireContext = { ...FULL_CONTEXT, families: [6] };

const ORIGIN = '40010100';
const AS_PATH = '400206 0201 0000fde9';
const NEXT_HOP = '400304 c0000201';
const REACH6 = '800e1c 0002 01 10 20010db8000000000000000000000001 00 30 20010db80001';
const VIA = parseIp('192.0.2.1');
const FROM_65001: PathAttributes = { ...EMPTY_ATTRIBUTES, asPath: [{ kind: 'sequence', asns: [65001] }] };

/** The body of an UPDATE from its three lists. */
function bodyOf(lists: { withdrawn?: string; attributes?: string; nlri?: string }): string {
  const { withdrawn = '', attributes = '', nlri = '' } = lists;
  const lengthOf = (hex: string): string => parseHex(hex).length.toString(16).padStart(4, '0');
  return `${lengthOf(withdrawn)} ${withdrawn} ${lengthOf(attributes)} ${attributes} ${nlri}`;
}

interface Case {
  readonly name: string;
  readonly body: string;
  readonly context?: WireContext;
  readonly value: Partial<UpdateMessage>;
  readonly text: string;
}

const NOTHING: UpdateMessage = {
  type: 'update',
  withdrawn: [],
  announced: [],
  attributes: undefined,
  endOfRib: undefined,
  errors: [],
};

const CASES: readonly Case[] = [
  {
    name: 'IPv4 routes',
    body: bodyOf({ attributes: `${ORIGIN} ${AS_PATH} ${NEXT_HOP}`, nlri: '18 0a0100 00 20 0a020304' }),
    value: {
      announced: ['10.1.0.0/24', '0.0.0.0/0', '10.2.3.4/32'].map((p) => ({ prefix: parsePrefix(p), nextHop: VIA })),
      attributes: FROM_65001,
    },
    text:
      'UPDATE announce 10.1.0.0/24 via 192.0.2.1, 0.0.0.0/0 via 192.0.2.1, 10.2.3.4/32 via 192.0.2.1; ' +
      'origin igp, as path 65001',
  },
  {
    name: 'a prefix with bits behind its length, which mean nothing',
    body: bodyOf({ attributes: `${ORIGIN} ${AS_PATH} ${NEXT_HOP}`, nlri: '09 0aff' }),
    value: { announced: [{ prefix: parsePrefix('10.128.0.0/9'), nextHop: VIA }], attributes: FROM_65001 },
    text: 'UPDATE announce 10.128.0.0/9 via 192.0.2.1; origin igp, as path 65001',
  },
  {
    name: 'withdrawn routes of both families, IPv4 in either place',
    body: bodyOf({ withdrawn: '18 0a0100', attributes: '800f07 0001 01 18 0a0200' }),
    value: { withdrawn: [parsePrefix('10.1.0.0/24'), parsePrefix('10.2.0.0/24')] },
    text: 'UPDATE withdraw 10.1.0.0/24, 10.2.0.0/24',
  },
  {
    name: 'IPv6 routes, where NEXT_HOP is ignored',
    body: bodyOf({ attributes: `${REACH6} ${ORIGIN} ${AS_PATH} ${NEXT_HOP}` }),
    value: {
      announced: [{ prefix: parsePrefix('2001:db8:1::/48'), nextHop: parseIp('2001:db8::1') }],
      attributes: FROM_65001,
    },
    text: 'UPDATE announce 2001:db8:1::/48 via 2001:db8::1; origin igp, as path 65001',
  },
  {
    name: 'both families at once',
    body: bodyOf({ attributes: `${REACH6} ${ORIGIN} ${AS_PATH} ${NEXT_HOP}`, nlri: '08 0a' }),
    value: {
      announced: [
        { prefix: parsePrefix('10.0.0.0/8'), nextHop: VIA },
        { prefix: parsePrefix('2001:db8:1::/48'), nextHop: parseIp('2001:db8::1') },
      ],
      attributes: FROM_65001,
    },
    text: 'UPDATE announce 10.0.0.0/8 via 192.0.2.1, 2001:db8:1::/48 via 2001:db8::1; origin igp, as path 65001',
  },
  {
    name: 'a path past a two-octet speaker',
    context: TWO_OCTETS,
    body: bodyOf({ attributes: `${ORIGIN} 400206 0202 fdea5ba0 ${NEXT_HOP} c01106 0201fa56ea01`, nlri: '08 0a' }),
    value: {
      announced: [{ prefix: parsePrefix('10.0.0.0/8'), nextHop: VIA }],
      attributes: { ...EMPTY_ATTRIBUTES, asPath: [{ kind: 'sequence', asns: [65002, 4200000001] }] },
    },
    text: 'UPDATE announce 10.0.0.0/8 via 192.0.2.1; origin igp, as path 65002 4200000001',
  },
  {
    name: 'an aggregator past a two-octet speaker',
    context: TWO_OCTETS,
    body: bodyOf({
      attributes: `${ORIGIN} 400200 ${NEXT_HOP} c00706 5ba0c0000209 c01208 fa56ea01c0000209`,
      nlri: '08 0a',
    }),
    value: {
      announced: [{ prefix: parsePrefix('10.0.0.0/8'), nextHop: VIA }],
      attributes: { ...EMPTY_ATTRIBUTES, aggregator: { as: 4200000001, ip: parseIp('192.0.2.9') } },
    },
    text: 'UPDATE announce 10.0.0.0/8 via 192.0.2.1; origin igp, as path empty, aggregator 4200000001 192.0.2.9',
  },
  {
    name: 'AS4 attributes that a later two-octet aggregator made stale',
    context: TWO_OCTETS,
    body: bodyOf({
      attributes: `${ORIGIN} 400204 02015ba0 ${NEXT_HOP} c00706 fde9c0000209 c01106 0201fa56ea01 c01208 fa56ea01c0000209`,
      nlri: '08 0a',
    }),
    value: {
      announced: [{ prefix: parsePrefix('10.0.0.0/8'), nextHop: VIA }],
      attributes: {
        ...EMPTY_ATTRIBUTES,
        asPath: [{ kind: 'sequence', asns: [23456] }],
        aggregator: { as: 65001, ip: parseIp('192.0.2.9') },
      },
    },
    text: 'UPDATE announce 10.0.0.0/8 via 192.0.2.1; origin igp, as path 23456, aggregator 65001 192.0.2.9',
  },
  { name: 'End-of-RIB of IPv4', body: bodyOf({}), value: { endOfRib: 4 }, text: 'UPDATE end of rib ipv4' },
  {
    name: 'End-of-RIB of IPv6',
    body: bodyOf({ attributes: '800f03 000201' }),
    value: { endOfRib: 6 },
    text: 'UPDATE end of rib ipv6',
  },
  {
    name: 'End-of-RIB of IPv6 as BIRD writes it',
    body: bodyOf({ attributes: '900f0003 000201' }),
    value: { endOfRib: 6 },
    text: 'UPDATE end of rib ipv6',
  },
  {
    name: 'the marker of a family not negotiated, which marks nothing',
    body: bodyOf({}),
    context: IPV6_ONLY,
    value: {},
    text: 'UPDATE empty',
  },
  {
    name: 'an empty MP_UNREACH_NLRI beside another attribute, which marks nothing',
    body: bodyOf({ attributes: `800f03 000201 ${ORIGIN}` }),
    value: {},
    text: 'UPDATE empty',
  },
];

/** UPDATEs with something wrong in them that the session survives, and what is left of them · RFC 7606. */
const SURVIVED: readonly { name: string; body: string; context?: WireContext; text: string }[] = [
  {
    name: 'a malformed ORIGIN',
    body: bodyOf({ attributes: `40010109 ${AS_PATH} ${NEXT_HOP}`, nlri: '08 0a' }),
    text: 'UPDATE withdraw 10.0.0.0/8; treat-as-withdraw (ORIGIN: value is 9)',
  },
  {
    name: 'a malformed attribute with routes of both families, and a withdrawal',
    body: bodyOf({
      withdrawn: '08 0b',
      attributes: `${REACH6} ${ORIGIN} ${AS_PATH} ${NEXT_HOP} c00801 00`,
      nlri: '08 0a',
    }),
    text:
      'UPDATE withdraw 11.0.0.0/8, 10.0.0.0/8, 2001:db8:1::/48; ' +
      'treat-as-withdraw (COMMUNITIES: length is 1, expected a multiple of 4)',
  },
  {
    name: 'prefixes without any attribute',
    body: bodyOf({ nlri: '08 0a' }),
    text:
      'UPDATE withdraw 10.0.0.0/8; treat-as-withdraw (ORIGIN: is missing); treat-as-withdraw (AS_PATH: is missing); ' +
      'treat-as-withdraw (NEXT_HOP: is missing)',
  },
  {
    name: 'prefixes with only an unknown transitive attribute',
    body: bodyOf({ attributes: 'c06300', nlri: '08 0a' }),
    text:
      'UPDATE withdraw 10.0.0.0/8; treat-as-withdraw (ORIGIN: is missing); treat-as-withdraw (AS_PATH: is missing); ' +
      'treat-as-withdraw (NEXT_HOP: is missing)',
  },
  {
    name: 'MP_UNREACH_NLRI and prefixes without mandatory attributes',
    body: bodyOf({ attributes: `800f0a 0002 01 30 20010db80002`, nlri: '08 0a' }),
    text:
      'UPDATE withdraw 2001:db8:2::/48, 10.0.0.0/8; treat-as-withdraw (ORIGIN: is missing); ' +
      'treat-as-withdraw (AS_PATH: is missing); treat-as-withdraw (NEXT_HOP: is missing)',
  },
  {
    name: 'a missing NEXT_HOP',
    body: bodyOf({ attributes: `${ORIGIN} ${AS_PATH}`, nlri: '08 0a' }),
    text: 'UPDATE withdraw 10.0.0.0/8; treat-as-withdraw (NEXT_HOP: is missing)',
  },
  {
    name: 'an attribute that overruns the list',
    body: bodyOf({ attributes: `${ORIGIN} ${AS_PATH} ${NEXT_HOP} c00808 0000`, nlri: '08 0a' }),
    text: 'UPDATE withdraw 10.0.0.0/8; treat-as-withdraw (attribute at offset 20 reaches past the list)',
  },
  {
    name: 'a broken aggregator, which is dropped alone',
    body: bodyOf({ attributes: `${ORIGIN} ${AS_PATH} ${NEXT_HOP} c00703 000000`, nlri: '08 0a' }),
    text:
      'UPDATE announce 10.0.0.0/8 via 192.0.2.1; origin igp, as path 65001; ' +
      'discard (AGGREGATOR: length is 3, expected 8)',
  },
  {
    name: 'LOCAL_PREF of another AS, which is dropped alone',
    body: bodyOf({ attributes: `${ORIGIN} ${AS_PATH} ${NEXT_HOP} 400504 00000064`, nlri: '08 0a' }),
    text:
      'UPDATE announce 10.0.0.0/8 via 192.0.2.1; origin igp, as path 65001; ' +
      'discard (LOCAL_PREF: was sent by another as)',
  },
  {
    name: 'a broken AS4_PATH in front of AS_PATH',
    context: TWO_OCTETS,
    body: bodyOf({ attributes: `${ORIGIN} c01103 020100 400204 0201fde9 ${NEXT_HOP}`, nlri: '08 0a' }),
    text:
      'UPDATE announce 10.0.0.0/8 via 192.0.2.1; origin igp, as path 65001; ' +
      'discard (AS4_PATH: segment of 1 ases reaches past the attribute)',
  },
  {
    name: 'damaged attributes nobody here needs: 23, 28, 40 and 255',
    body: bodyOf({
      attributes: `${ORIGIN} ${AS_PATH} ${NEXT_HOP} c01703 0001ff c01c01 00 c02807 00000000000000 c0ff00`,
      nlri: '08 0a',
    }),
    text:
      'UPDATE announce 10.0.0.0/8 via 192.0.2.1; origin igp, as path 65001, attribute 23 0001ff, attribute 28 00, ' +
      'attribute 40 00000000000000, attribute 255',
  },
  {
    name: 'IPv6 routes nobody negotiated, beside IPv4 routes',
    context: IPV4_ONLY,
    body: bodyOf({ attributes: `${REACH6} ${ORIGIN} ${AS_PATH} ${NEXT_HOP}`, nlri: '08 0a' }),
    text:
      'UPDATE announce 10.0.0.0/8 via 192.0.2.1; origin igp, as path 65001; ' +
      'discard (routes of family 2/1 were not negotiated)',
  },
  {
    name: 'IPv6 routes nobody negotiated, with a broken attribute',
    context: IPV4_ONLY,
    body: bodyOf({ attributes: `${REACH6} 40010109` }),
    text: 'UPDATE treat-as-withdraw (ORIGIN: value is 9); discard (routes of family 2/1 were not negotiated)',
  },
  {
    name: 'IPv4 routes nobody negotiated',
    context: IPV6_ONLY,
    body: bodyOf({ withdrawn: '08 0b', attributes: `${ORIGIN} ${AS_PATH} ${NEXT_HOP}`, nlri: '08 0a' }),
    text: 'UPDATE discard (routes of family 1/1 were not negotiated)',
  },
];

/** UPDATEs that end the session, and how. */
const RESET: readonly { name: string; body: string; error: string }[] = [
  { name: 'withdrawn routes longer than the message', body: '0005 0000', error: '3/1' },
  { name: 'withdrawn routes that leave half a length', body: '0001 00 00', error: '3/1' },
  { name: 'attributes longer than the message', body: '0000 0005 00', error: '3/1' },
  { name: 'a length that would wrap', body: 'ffff ffff', error: '3/1' },
  { name: 'a withdrawn prefix of 33 bits', body: bodyOf({ withdrawn: '21 0a00000000' }), error: '3/10' },
  { name: 'a withdrawn prefix cut short', body: bodyOf({ withdrawn: '18 0a00' }), error: '3/10' },
  {
    name: 'a prefix of 33 bits',
    body: bodyOf({ attributes: `${ORIGIN} ${AS_PATH} ${NEXT_HOP}`, nlri: '21 0a00000000' }),
    error: '3/10',
  },
  {
    name: 'a prefix cut short',
    body: bodyOf({ attributes: `${ORIGIN} ${AS_PATH} ${NEXT_HOP}`, nlri: '18 0a00' }),
    error: '3/10',
  },
  {
    name: 'a broken attribute where no prefixes were found (RFC 7606 §5.2)',
    body: bodyOf({ attributes: `40010109 ${AS_PATH}` }),
    error: '3/6 40010109',
  },
  {
    name: 'an End-of-RIB look-alike with a broken attribute',
    body: bodyOf({ attributes: '800f03 000201 c00801 00' }),
    error: '3/9 c0080100',
  },
  {
    name: 'a list that ends in the middle of MP_REACH_NLRI',
    body: bodyOf({ attributes: '800e20 0002' }),
    error: '3/1',
  },
];

describe('UPDATE', () => {
  for (const { name, body, context = FULL_CONTEXT, value, text } of CASES) {
    test(`decodes and formats ${name}`, () => {
      const message = decodeUpdate(messageOf(2, body), context);
      assert.deepEqual(message, { ...NOTHING, ...value });
      assert.equal(formatUpdate(message), text);
    });
    test(`survives ${name} cut short anywhere, or resets with 1/2 or 3/x`, () => {
      const whole = messageOf(2, body);
      for (let length = 19; length < whole.length; length += 1) {
        const error = outcome(() => decodeMessage(cutMessage(whole, length), context));
        assert.match(error, length < 23 ? /^1\/2/ : /^(?:none|3\/)/, `a message of ${length} bytes`);
      }
    });
  }

  for (const { name, body, context = FULL_CONTEXT, text } of SURVIVED) {
    test(`survives ${name}`, () => {
      assert.equal(formatUpdate(decodeUpdate(messageOf(2, body), context)), text);
    });
  }

  for (const { name, body, error } of RESET) {
    test(`answers ${name} with ${error}`, () => {
      assert.equal(
        outcome(() => decodeUpdate(messageOf(2, body), FULL_CONTEXT)),
        error,
      );
    });
  }

  test('keeps nothing of the receive buffer', () => {
    const attributes = `${ORIGIN} ${AS_PATH} ${NEXT_HOP} c01008 0002fdea00000007 c06302 abcd`;
    const bytes = messageOf(2, bodyOf({ attributes, nlri: '08 0a' }));
    const message = decodeUpdate(bytes, FULL_CONTEXT);
    bytes.fill(0);
    assert.equal(formatHex(message.attributes?.unknown[0]?.value ?? bytes), 'abcd');
    assert.equal(formatHex(message.attributes?.extendedCommunities[0] ?? bytes), '0002fdea00000007');
  });

  test('formats a long list by its beginning and its length', () => {
    const nlri = Array.from({ length: 20 }, (_, index) => `18 0a00${index.toString(16).padStart(2, '0')}`).join(' ');
    const text = formatUpdate(decodeUpdate(messageOf(2, bodyOf({ withdrawn: nlri })), FULL_CONTEXT));
    assert.match(text, /10\.0\.7\.0\/24 and 12 more$/);
  });
});
