import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { parseIp, parsePrefix } from '#net';
import type { WireContext } from '../context.ts';
import { formatHex, parseHex } from '../hex.ts';
import { FULL_CONTEXT, outcome } from '../testing.ts';
import { EMPTY_ATTRIBUTES, type PathAttributes } from './attributes.ts';
import { decodeAttributeList, encodeAttributeList } from './list.ts';
import type { AttributeDraft } from './row.ts';
import { ATTRIBUTE_TABLE } from './table.ts';

const INTERNAL: WireContext = { ...FULL_CONTEXT, peerType: 'ibgp' };
const TWO_OCTETS: WireContext = { ...FULL_CONTEXT, fourOctetAs: false };

/** ORIGIN and an empty AS_PATH, which every encoded list starts with. */
const HEAD = '40010100 400200';

interface Case {
  readonly name: string;
  readonly code: number;
  readonly context?: WireContext;
  /** The whole attribute: flags, code, length, value. */
  readonly hex: string;
  readonly draft: AttributeDraft;
  /** What encodes to HEAD and `hex`; absent where the packer writes the attribute. */
  readonly attributes?: Partial<PathAttributes>;
}

const VECTORS: readonly Case[] = [
  { name: 'ORIGIN igp', code: 1, hex: '40010100', draft: { origin: 'igp' } },
  { name: 'ORIGIN incomplete', code: 1, hex: '40010102', draft: { origin: 'incomplete' } },
  {
    name: 'AS_PATH with a sequence and a set',
    code: 2,
    hex: '400210 0202 0000fde9 fa56ea01 0101 0000fdea',
    draft: {
      asPath: [
        { kind: 'sequence', asns: [65001, 4200000001] },
        { kind: 'set', asns: [65002] },
      ],
    },
  },
  { name: 'AS_PATH without ASes', code: 2, hex: '400200', draft: { asPath: [] } },
  {
    name: 'AS_PATH of two octets per AS',
    code: 2,
    context: TWO_OCTETS,
    hex: '400206 0202 fde9 5ba0',
    draft: { asPath: [{ kind: 'sequence', asns: [65001, 23456] }] },
  },
  { name: 'NEXT_HOP', code: 3, hex: '400304 c0000201', draft: { nextHop: parseIp('192.0.2.1') } },
  { name: 'MED', code: 4, hex: '800404 ffffffff', draft: { med: 0xffffffff }, attributes: { med: 0xffffffff } },
  {
    name: 'LOCAL_PREF',
    code: 5,
    context: INTERNAL,
    hex: '400504 00000064',
    draft: { localPref: 100 },
    attributes: { localPref: 100 },
  },
  {
    name: 'ATOMIC_AGGREGATE',
    code: 6,
    hex: '400600',
    draft: { atomicAggregate: true },
    attributes: { atomicAggregate: true },
  },
  {
    name: 'AGGREGATOR',
    code: 7,
    hex: 'c00708 fa56ea01 c0000201',
    draft: { aggregator: { as: 4200000001, ip: parseIp('192.0.2.1') } },
    attributes: { aggregator: { as: 4200000001, ip: parseIp('192.0.2.1') } },
  },
  {
    name: 'AGGREGATOR of a two-octet AS',
    code: 7,
    context: TWO_OCTETS,
    hex: 'c00706 fde9 c0000201',
    draft: { aggregator: { as: 65001, ip: parseIp('192.0.2.1') } },
    attributes: { aggregator: { as: 65001, ip: parseIp('192.0.2.1') } },
  },
  {
    name: 'COMMUNITIES',
    code: 8,
    hex: 'c00808 fde90064 ffffff01',
    draft: { communities: [0xfde90064, 0xffffff01] },
    attributes: { communities: [0xfde90064, 0xffffff01] },
  },
  {
    name: 'ORIGINATOR_ID',
    code: 9,
    context: INTERNAL,
    hex: '800904 c0000201',
    draft: { originatorId: parseIp('192.0.2.1') },
    attributes: { originatorId: parseIp('192.0.2.1') },
  },
  {
    name: 'CLUSTER_LIST',
    code: 10,
    context: INTERNAL,
    hex: '800a08 c0000264 c0000265',
    draft: { clusterList: [parseIp('192.0.2.100'), parseIp('192.0.2.101')] },
    attributes: { clusterList: [parseIp('192.0.2.100'), parseIp('192.0.2.101')] },
  },
  {
    name: 'MP_REACH_NLRI with a global and a link-local next hop',
    code: 14,
    hex: `800e2c 0002 01 20 20010db8000000000000000000000001 fe800000000000000000000000000001 00 30 20010db80001`,
    draft: { mpReach: { family: 6, nextHop: parseIp('2001:db8::1'), prefixes: [parsePrefix('2001:db8:1::/48')] } },
  },
  {
    name: 'MP_REACH_NLRI of BIRD over link-local alone',
    code: 14,
    hex: `900e002c 0002 01 20 00000000000000000000000000000000 fe800000000000000000000000000001 00 30 20010db80001`,
    draft: { mpReach: { family: 6, nextHop: parseIp('fe80::1'), prefixes: [parsePrefix('2001:db8:1::/48')] } },
  },
  {
    name: 'MP_REACH_NLRI of IPv4',
    code: 14,
    hex: '800e0f 0001 01 04 c0000201 00 18 0a0100 08 0b',
    draft: {
      mpReach: {
        family: 4,
        nextHop: parseIp('192.0.2.1'),
        prefixes: [parsePrefix('10.1.0.0/24'), parsePrefix('11.0.0.0/8')],
      },
    },
  },
  {
    name: 'MP_REACH_NLRI of IPv4 with an IPv6 next hop, negotiated',
    code: 14,
    context: { ...FULL_CONTEXT, extendedNextHop: true },
    hex: '800e19 0001 01 10 20010db8000000000000000000000001 00 18 0a0100',
    draft: { mpReach: { family: 4, nextHop: parseIp('2001:db8::1'), prefixes: [parsePrefix('10.1.0.0/24')] } },
  },
  {
    name: 'MP_REACH_NLRI of a foreign family',
    code: 14,
    hex: '800e08 4004 47 00 00 ffffff',
    draft: { ignoredFamily: '16388/71' },
  },
  {
    name: 'MP_REACH_NLRI of a family not negotiated',
    code: 14,
    context: { ...FULL_CONTEXT, families: [4] },
    hex: '800e05 0002 01 00 00',
    draft: { ignoredFamily: '2/1' },
  },
  {
    name: 'MP_UNREACH_NLRI',
    code: 15,
    hex: '800f0a 0002 01 30 20010db80001',
    draft: { mpUnreach: { family: 6, prefixes: [parsePrefix('2001:db8:1::/48')] } },
  },
  {
    name: 'MP_UNREACH_NLRI of IPv4 unicast',
    code: 15,
    hex: '800f07 0001 01 18 0a0100',
    draft: { mpUnreach: { family: 4, prefixes: [parsePrefix('10.1.0.0/24')] } },
  },
  {
    name: 'EXTENDED COMMUNITIES',
    code: 16,
    hex: 'c01008 0002fdea00000007',
    draft: { extendedCommunities: [parseHex('0002fdea00000007')] },
    attributes: { extendedCommunities: [parseHex('0002fdea00000007')] },
  },
  {
    name: 'AS4_PATH',
    code: 17,
    context: TWO_OCTETS,
    hex: 'c01106 0201 fa56ea01',
    draft: { as4Path: [{ kind: 'sequence', asns: [4200000001] }] },
  },
  {
    name: 'AS4_PATH with a confederation segment to drop',
    code: 17,
    context: TWO_OCTETS,
    hex: 'c0110c 0301 0000fde9 0201 fa56ea01',
    draft: { as4Path: [{ kind: 'sequence', asns: [4200000001] }] },
  },
  { name: 'AS4_PATH between four-octet speakers', code: 17, hex: 'c01101 07', draft: {} },
  {
    name: 'AS4_AGGREGATOR',
    code: 18,
    context: TWO_OCTETS,
    hex: 'c01208 fa56ea01 c0000201',
    draft: { as4Aggregator: { as: 4200000001, ip: parseIp('192.0.2.1') } },
  },
  { name: 'AS4_AGGREGATOR between four-octet speakers', code: 18, hex: 'c01201 07', draft: {} },
  {
    name: 'LARGE_COMMUNITY',
    code: 32,
    hex: 'c0200c 0000fdea 00000001 fffffffe',
    draft: { largeCommunities: [{ global: 65002, local1: 1, local2: 0xfffffffe }] },
    attributes: { largeCommunities: [{ global: 65002, local1: 1, local2: 0xfffffffe }] },
  },
];

/** Values that are none, and what they do: `treatment code/subcode` of the value, or the NOTIFICATION of a reset. */
const MALFORMED: readonly { name: string; hex: string; context?: WireContext; becomes: string }[] = [
  { name: 'ORIGIN 9', hex: '40010109', becomes: 'treat-as-withdraw 3/6 40010109' },
  { name: 'ORIGIN of no octets', hex: '400100', becomes: 'treat-as-withdraw 3/5 400100' },
  { name: 'ORIGIN of two octets', hex: '4001020000', becomes: 'treat-as-withdraw 3/5 4001020000' },
  { name: 'ORIGIN that claims to be optional', hex: 'c0010100', becomes: 'treat-as-withdraw 3/4 c0010100' },
  { name: 'ORIGIN without the transitive bit', hex: '00010100', becomes: 'treat-as-withdraw 3/4 00010100' },
  { name: 'AS_PATH with segment type 5', hex: '400206 0501 0000fde9', becomes: 'treat-as-withdraw 3/11' },
  { name: 'AS_PATH with a confederation segment', hex: '400206 0301 0000fde9', becomes: 'treat-as-withdraw 3/11' },
  { name: 'AS_PATH with a segment past its end', hex: '400206 0202 0000fde9', becomes: 'treat-as-withdraw 3/11' },
  { name: 'AS_PATH with one octet left', hex: '400207 0201 0000fde9 02', becomes: 'treat-as-withdraw 3/11' },
  { name: 'AS_PATH with an empty segment', hex: '400202 0200', becomes: 'treat-as-withdraw 3/11' },
  { name: 'AS_PATH with AS 0', hex: '400206 0201 00000000', becomes: 'treat-as-withdraw 3/11' },
  { name: 'NEXT_HOP of three octets', hex: '400303 c00002', becomes: 'treat-as-withdraw 3/5 400303c00002' },
  { name: 'NEXT_HOP 0.0.0.0', hex: '400304 00000000', becomes: 'treat-as-withdraw 3/8 40030400000000' },
  { name: 'NEXT_HOP 127.0.0.1', hex: '400304 7f000001', becomes: 'treat-as-withdraw 3/8 4003047f000001' },
  { name: 'NEXT_HOP 224.0.0.5', hex: '400304 e0000005', becomes: 'treat-as-withdraw 3/8 400304e0000005' },
  { name: 'MED of two octets', hex: '800402 0001', becomes: 'treat-as-withdraw 3/5 8004020001' },
  {
    name: 'LOCAL_PREF of one octet inside the AS',
    hex: '400501 64',
    context: INTERNAL,
    becomes: 'treat-as-withdraw 3/5 40050164',
  },
  { name: 'LOCAL_PREF of another AS, whatever it says', hex: '400501 64', becomes: 'discard 3/0 40050164' },
  { name: 'ATOMIC_AGGREGATE with a value', hex: '400601 00', becomes: 'discard 3/5 40060100' },
  { name: 'AGGREGATOR of two-octet length', hex: 'c00706 fde9 c0000201', becomes: 'discard 3/9 c00706fde9c0000201' },
  { name: 'AGGREGATOR of AS 0', hex: 'c00708 00000000 c0000201', becomes: 'discard 3/9 c0070800000000c0000201' },
  { name: 'COMMUNITIES of five octets', hex: 'c00805 0000000000', becomes: 'treat-as-withdraw 3/9 c008050000000000' },
  { name: 'COMMUNITIES of no octets', hex: 'c00800', becomes: 'treat-as-withdraw 3/9 c00800' },
  { name: 'ORIGINATOR_ID of another AS', hex: '800904 c0000201', becomes: 'discard 3/0 800904c0000201' },
  { name: 'ORIGINATOR_ID of no octets', hex: '800900', context: INTERNAL, becomes: 'treat-as-withdraw 3/5 800900' },
  { name: 'CLUSTER_LIST of another AS', hex: '800a00', becomes: 'discard 3/0 800a00' },
  { name: 'CLUSTER_LIST of no octets', hex: '800a00', context: INTERNAL, becomes: 'treat-as-withdraw 3/5 800a00' },
  { name: 'MP_REACH_NLRI of three octets', hex: '800e03 000201', becomes: 'reset 3/9 800e03000201' },
  { name: 'MP_REACH_NLRI with wrong flags', hex: 'c00e05 0002010000', becomes: 'reset 3/9 c00e050002010000' },
  {
    name: 'MP_REACH_NLRI whose next hop is cut',
    hex: '800e06 0002 01 10 2001',
    becomes: 'reset 3/9 800e06000201102001',
  },
  {
    name: 'MP_REACH_NLRI of IPv6 with an IPv4 next hop',
    hex: '800e09 0002 01 04 c0000201 00',
    becomes: 'reset 3/9 800e0900020104c000020100',
  },
  {
    name: 'MP_REACH_NLRI with a prefix of 129 bits',
    hex: '800e17 0002 01 10 20010db8000000000000000000000001 00 81 20',
    becomes: 'reset 3/9 800e170002011020010db8000000000000000000000001008120',
  },
  {
    name: 'MP_REACH_NLRI of IPv4 with an IPv6 next hop, not negotiated',
    hex: '800e19 0001 01 10 20010db8000000000000000000000001 00 18 0a0100',
    becomes: 'treat-as-withdraw 3/8 800e190001011020010db800000000000000000000000100180a0100',
  },
  {
    name: 'MP_REACH_NLRI with next hop ::',
    hex: '800e15 0002 01 10 00000000000000000000000000000000 00',
    becomes: 'treat-as-withdraw 3/8 800e15000201100000000000000000000000000000000000',
  },
  { name: 'MP_UNREACH_NLRI of two octets', hex: '800f02 0002', becomes: 'reset 3/9 800f020002' },
  { name: 'MP_UNREACH_NLRI with a cut prefix', hex: '800f05 0002 01 30 20', becomes: 'reset 3/9 800f050002013020' },
  {
    name: 'EXTENDED COMMUNITIES of nine octets',
    hex: 'c01009 000000000000000000',
    becomes: 'treat-as-withdraw 3/9 c01009000000000000000000',
  },
  { name: 'AS4_PATH cut', hex: 'c01104 0201 fa56', context: TWO_OCTETS, becomes: 'discard 3/9 c011040201fa56' },
  { name: 'AS4_PATH of no octets', hex: 'c01100', context: TWO_OCTETS, becomes: 'discard 3/9 c01100' },
  {
    name: 'AS4_PATH with AS 0',
    hex: 'c01106 0201 00000000',
    context: TWO_OCTETS,
    becomes: 'discard 3/9 c01106020100000000',
  },
  { name: 'AS4_AGGREGATOR cut', hex: 'c01203 fa56ea', context: TWO_OCTETS, becomes: 'discard 3/9 c01203fa56ea' },
  {
    name: 'LARGE_COMMUNITY of 11 octets',
    hex: `c0200b ${'00'.repeat(11)}`,
    becomes: `treat-as-withdraw 3/9 c0200b${'00'.repeat(11)}`,
  },
  { name: 'an attribute cut after its flags', hex: '40', becomes: 'treat-as-withdraw 3/1' },
  { name: 'an attribute longer than the list', hex: '400402 00', becomes: 'treat-as-withdraw 3/1' },
  { name: 'an extended length cut in two', hex: '500100', becomes: 'treat-as-withdraw 3/1' },
  { name: 'ORIGIN twice', hex: '40010100 40010101', becomes: 'discard 3/1 40010101' },
  { name: 'MP_UNREACH_NLRI twice', hex: '800f03000201 800f03000201', becomes: 'reset 3/1' },
  { name: 'an unknown attribute that claims to be well-known', hex: '406301 00', becomes: 'reset 3/2 40630100' },
  { name: 'an unknown attribute with neither bit', hex: '006300', becomes: 'reset 3/2 006300' },
];

function decode(hex: string, context: WireContext = FULL_CONTEXT): ReturnType<typeof decodeAttributeList> {
  const bytes = parseHex(hex);
  return decodeAttributeList(bytes, { start: 0, end: bytes.length }, context);
}

describe('path attributes', () => {
  for (const { name, hex, context = FULL_CONTEXT, draft, attributes } of VECTORS) {
    test(`decodes ${name}`, () => {
      const list = decode(hex, context);
      assert.deepEqual(list.errors, []);
      assert.deepEqual(list.draft, draft);
    });
    if (attributes === undefined) continue;
    test(`encodes ${name}`, () => {
      const bytes = encodeAttributeList({ ...EMPTY_ATTRIBUTES, ...attributes }, context);
      assert.equal(formatHex(bytes), `${HEAD}${hex}`.replaceAll(/\s/g, ''));
    });
  }

  for (const { name, hex, context, becomes } of MALFORMED) {
    test(`answers ${name} with ${becomes.split(' ', 2).join(' ')}`, () => {
      let found = '';
      const reset = outcome(() => {
        const { errors } = decode(hex, context);
        found = errors
          .map((error) => `${error.treatment} ${error.code}/${error.subcode} ${formatHex(error.data)}`)
          .join();
      });
      assert.equal((reset === 'none' ? found : `reset ${reset}`).trimEnd(), becomes);
    });
  }

  test('keeps the first of two', () => {
    assert.equal(decode('40010100 40010101').draft.origin, 'igp');
  });

  test('accepts lengths in either form and ignores the unused flag bits', () => {
    assert.equal(decode('5f01000102').draft.origin, 'incomplete');
  });

  test('carries unknown optional transitive attributes with the Partial bit, and drops the others', () => {
    const value = '00'.repeat(3000);
    const list = decode(`d0630bb8${value} 806401 07 c01c00 c02803 010203`);
    assert.deepEqual(list.errors, []);
    assert.deepEqual(
      list.unknown.map(({ flags, code, value }) => [flags, code, value.length]),
      [
        [0xe0, 99, 3000],
        [0xe0, 28, 0],
        [0xe0, 40, 3],
      ],
    );
    const sent = { ...EMPTY_ATTRIBUTES, unknown: list.unknown };
    assert.equal(
      formatHex(encodeAttributeList(sent, FULL_CONTEXT)),
      `${HEAD}f0630bb8${value}`.replaceAll(/\s/g, ''),
      'attributes 28 and 40 stay inside the AS',
    );
    assert.match(formatHex(encodeAttributeList(sent, INTERNAL)), /e01c00e02803010203f0630bb8/);
  });

  test('keeps the Partial bit of attributes it knows', () => {
    const list = decode('e00804 fde90064');
    assert.deepEqual(list.partial, [8]);
    const sent = { ...EMPTY_ATTRIBUTES, communities: [0xfde90064], partial: list.partial };
    assert.equal(formatHex(encodeAttributeList(sent, FULL_CONTEXT)), `${HEAD}e00804fde90064`.replaceAll(/\s/g, ''));
  });

  test('sends nothing to another AS that belongs inside', () => {
    const attributes: PathAttributes = {
      ...EMPTY_ATTRIBUTES,
      localPref: 200,
      originatorId: parseIp('192.0.2.1'),
      clusterList: [parseIp('192.0.2.100')],
    };
    assert.equal(formatHex(encodeAttributeList(attributes, FULL_CONTEXT)), HEAD.replaceAll(/\s/g, ''));
  });

  test('tells a two-octet speaker the true path and aggregator beside AS_TRANS', () => {
    const attributes: PathAttributes = {
      ...EMPTY_ATTRIBUTES,
      asPath: [{ kind: 'sequence', asns: [65001, 4200000001] }],
      aggregator: { as: 4200000001, ip: parseIp('192.0.2.1') },
    };
    assert.equal(
      formatHex(encodeAttributeList(attributes, TWO_OCTETS)),
      '40010100 400206 0202fde95ba0 c00706 5ba0c0000201 c0110a 02020000fde9fa56ea01 c01208 fa56ea01c0000201'.replaceAll(
        /\s/g,
        '',
      ),
    );
  });

  test('every row has a vector and a line in docs/rfc.md, and the table ascends', () => {
    const page = readFileSync(new URL('../../../docs/rfc.md', import.meta.url), 'utf8');
    const codes = ATTRIBUTE_TABLE.map((row) => row.code);
    assert.deepEqual(
      codes,
      codes.toSorted((a, b) => a - b),
    );
    for (const row of ATTRIBUTE_TABLE) {
      assert.ok(
        VECTORS.some((vector) => vector.code === row.code),
        `${row.name} has a vector`,
      );
      assert.match(page, new RegExp(`\\b${row.name}\\b`), `${row.name} is in docs/rfc.md`);
    }
  });
});
