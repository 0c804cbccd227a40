/** Rows about the frame of an UPDATE: its lengths, prefixes, the attribute list as a whole (RFC 4271 §6.3, RFC 7606). */
import {
  asPath,
  attribute,
  longAttribute,
  mandatory,
  mandatory6,
  mpReach,
  nextHop,
  ORIGIN,
  sequence,
  TESTED4,
  TESTED6,
  u16,
  u32,
  u8,
  update,
  NEW,
} from './bytes.ts';
import type { Outcome, Row } from './corpus.ts';

function row(name: string, hex: string, strict: Row['strict'], more: Partial<Row> = {}): Row {
  const origin = 'RFC 7606';
  return { name, origin, session: 'ebgp', phase: 'established', hex, family: 4, strict, acceptable: [], ...more };
}

const ALL = mandatory('ebgp');
const with4 = (extra: string, base = ALL): string => update({ attributes: base + extra, nlri: TESTED4 });

function lengths(): Row[] {
  const list: readonly Outcome[] = ['reset 3/1'];
  return [
    row('withdrawn length beyond the message', update({ withdrawnLength: 255 }), list),
    row('withdrawn length 65535', update({ withdrawnLength: 65_535, attributes: ALL, nlri: TESTED4 }), list, {
      origin: 'GoBGP CVE-2026-37462',
    }),
    row('withdrawn length leaves one octet', update({ withdrawnLength: 1 }), list, { origin: 'GoBGP CVE-2026-37462' }),
    row('withdrawn length leaves no room for attributes', update({ withdrawnLength: 2 }), list, {
      origin: 'GoBGP CVE-2026-37462',
      acceptable: ['reset 3/10'],
    }),
    row('attribute length beyond the message', update({ attributes: ALL, attributesLength: 255 }), list),
    row('attribute length 65535', update({ attributes: ALL, attributesLength: 65_535, nlri: TESTED4 }), list),
    row('attribute length one too long', update({ attributes: ALL, attributesLength: ALL.length / 2 + 1 }), list),
    row('attribute length 0 with NLRI', update({ nlri: TESTED4 }), ['withdrawn'], { origin: 'FRR CVE-2023-41358' }),
    row(
      'attribute length cuts the last attribute',
      update({ attributes: ALL, attributesLength: ALL.length / 2 - 4, nlri: TESTED4 }),
      ['withdrawn', 'reset 3/10'],
      { origin: 'RFC 7606 §4', acceptable: ['reset 3/1'] },
    ),
    row(
      'attribute longer than the list',
      with4('', ALL.slice(0, -14) + attribute(0x40, 3, '0a63fffe', 9)),
      ['withdrawn'],
      { origin: 'RFC 7606 §4' },
    ),
    row('attribute of 65535 octets', with4('c063'.replace('c0', 'd0') + 'ffff'), ['withdrawn'], {
      origin: 'RFC 7606 §4',
    }),
    row('one octet behind the last attribute', with4('40'), ['withdrawn'], { origin: 'RFC 7606 §4' }),
    row('two octets behind the last attribute', with4('c063'), ['withdrawn'], { origin: 'RFC 7606 §4' }),
    row('three octets behind it, extended length cut', with4('d06300'), ['withdrawn'], { origin: 'RFC 7606 §4' }),
    row('list of zeros', with4('00'.repeat(12)), ['withdrawn', 'reset 3/2'], {
      origin: 'RFC 7606 §4',
      acceptable: ['reset 3/1'],
    }),
    row('list of 0xff', with4('ff'.repeat(12)), ['withdrawn'], { origin: 'RFC 7606 §4' }),
    row('attribute error without any prefix', update({ attributes: attribute(0x40, 1, '09') }), ['reset 3/6'], {
      origin: 'FRR CVE-2023-47235',
      acceptable: ['old', 'reset 3/3', 'reset 3/1'],
    }),
  ];
}

function prefixes(): Row[] {
  const bad: readonly Outcome[] = ['reset 3/10'];
  return [
    row('NLRI of 33 bits', update({ attributes: ALL, nlri: '21cb00710000' }), bad),
    row('NLRI of 255 bits', update({ attributes: ALL, nlri: `ff${'cb'.repeat(32)}` }), bad),
    row('NLRI cut', update({ attributes: ALL, nlri: '18cb00' }), bad),
    row('NLRI: length alone', update({ attributes: ALL, nlri: `${TESTED4}20` }), bad),
    row('withdrawn prefix of 33 bits', update({ withdrawn: '21cb00710000' }), bad),
    row('withdrawn prefix cut', update({ withdrawn: '18cb' }), bad, { acceptable: ['reset 3/1'] }),
    row('NLRI with bits behind the length', update({ attributes: ALL, nlri: '17cb0071' }), ['old'], {
      origin: 'RFC 4271 §4.3',
    }),
    row('0.0.0.0/0', update({ attributes: ALL, nlri: '00' }), ['old'], { origin: 'RFC 4271 §4.3' }),
    row('multicast prefix', update({ attributes: ALL, nlri: `04e0${TESTED4}` }), ['kept'], {
      origin: 'RFC 4271 §6.3',
      acceptable: ['withdrawn'],
    }),
    row('prefix withdrawn and announced', update({ withdrawn: TESTED4, attributes: ALL, nlri: TESTED4 }), ['kept'], {
      origin: 'RFC 4271 §4.3',
    }),
    row('withdrawal of what was never told', update({ withdrawn: '18c63371' }), ['old'], { origin: 'RFC 4271 §4.3' }),
    row('the same prefix 900 times', update({ attributes: ALL, nlri: TESTED4.repeat(900) }), ['kept'], {
      origin: 'reliability §3',
    }),
    row('End-of-RIB', update({}), ['old'], { origin: 'RFC 4724 §2' }),
    row('End-of-RIB twice', update({}).repeat(2), ['old'], { origin: 'RFC 4724 §2' }),
    row('attributes without prefixes', update({ attributes: ALL }), ['old'], { origin: 'RFC 4271 §4.3' }),
  ];
}

/** Who must be there, who may be there how often, and in which order. */
function presence(): Row[] {
  const gone: readonly Outcome[] = ['withdrawn'];
  const path = asPath('ebgp', NEW);
  const hop = nextHop('ebgp');
  const rfc = { origin: 'RFC 7606 §3 d' };
  return [
    row('ORIGIN missing', with4('', path + hop), gone, rfc),
    row('AS_PATH missing', with4('', ORIGIN + hop), gone, rfc),
    row('NEXT_HOP missing', with4('', ORIGIN + path), gone, rfc),
    row('all missing but MED', with4('', attribute(0x80, 4, '00000001')), gone, rfc),
    row('only an unknown transitive attribute', with4('', attribute(0xc0, 99, '00')), gone, {
      origin: 'FRR CVE-2023-46753',
    }),
    row('MP_UNREACH with NLRI and nothing else', with4('', attribute(0x80, 15, '000201')), gone, {
      origin: 'FRR CVE-2023-47234',
    }),
    row('attributes in reverse order', with4('', hop + path + ORIGIN), ['kept'], { origin: 'RFC 4271 §5' }),
    row('MED in front of all', with4('', attribute(0x80, 4, '00000001') + hop + ORIGIN + path), ['kept'], {
      origin: 'RFC 4271 §5',
    }),
    row(
      'communities in front, MP_UNREACH last',
      with4('', attribute(0xc0, 8, 'fdeb0001') + ALL + attribute(0x80, 15, '000201')),
      ['kept'],
      { origin: 'RFC 4271 §5' },
    ),
    row('IPv6 route without ORIGIN', update({ attributes: mpReach(TESTED6) + path }), gone, { ...rfc, family: 6 }),
    row('IPv6 route without AS_PATH', update({ attributes: mpReach(TESTED6) + ORIGIN }), gone, { ...rfc, family: 6 }),
    row('IPv6 route with a NEXT_HOP too', update({ attributes: mpReach(TESTED6) + ALL }), ['kept'], {
      origin: 'RFC 4760 §3',
      family: 6,
    }),
    row(
      'IPv6 route with a bad NEXT_HOP too',
      update({ attributes: mpReach(TESTED6) + mandatory6('ebgp') + attribute(0x40, 3, '0a') }),
      ['withdrawn', 'kept'],
      { origin: 'RFC 4760 §3', family: 6 },
    ),
    row(
      'iBGP route without LOCAL_PREF',
      update({ attributes: ORIGIN + asPath('ibgp', NEW) + nextHop('ibgp'), nlri: TESTED4 }),
      ['withdrawn'],
      { ...rfc, session: 'ibgp', acceptable: ['kept'] },
    ),
  ];
}

/** Attributes most speakers need not know, in the shapes that took some of them down. */
function strangers(): Row[] {
  const opaque: readonly Outcome[] = ['kept'];
  const soft = { acceptable: ['withdrawn'] as const };
  const stranger = (name: string, attr: string, origin: string, more: Partial<Row> = {}): Row =>
    row(name, with4(attr), opaque, { origin, ...soft, ...more });
  return [
    stranger('unknown optional transitive attribute', attribute(0xc0, 99, '0102'), 'RFC 4271 §5', { acceptable: [] }),
    stranger('unknown optional transitive with Partial', attribute(0xe0, 99, '0102'), 'RFC 4271 §5', {
      acceptable: [],
    }),
    stranger('unknown optional non-transitive', attribute(0x80, 99, '0102'), 'RFC 4271 §5', { acceptable: [] }),
    stranger('attribute 99 of 3,000 octets', longAttribute(0xc0, 99, 'ab'.repeat(3000)), 'IOS XR, August 2010', {
      acceptable: [],
    }),
    stranger(
      '40 unknown attributes',
      Array.from({ length: 40 }, (_, index) => attribute(0xc0, 150 + index, '00')).join(''),
      'reliability §2',
      { acceptable: [] },
    ),
    row('unknown well-known attribute', with4(attribute(0x40, 99, '00')), ['reset 3/2'], {
      origin: 'GoBGP CVE-2026-41642',
      acceptable: ['withdrawn'],
    }),
    row('attribute 0, well-known', with4(attribute(0x40, 0, '')), ['reset 3/2'], {
      origin: 'RFC 4271 §6.3',
      acceptable: ['withdrawn', 'reset 3/1'],
    }),
    stranger('attribute 255', attribute(0xc0, 255, '00'.repeat(8)), 'FRR CVE-2019-5892', { acceptable: [] }),
    stranger('attribute 0, optional transitive', attribute(0xc0, 0, ''), 'RFC 4271 §5', { acceptable: ['withdrawn'] }),
    stranger('tunnel encapsulation of 1 octet', attribute(0xc0, 23, '00'), 'FRR CVE-2023-38802'),
    stranger('tunnel encapsulation of 0 octets', attribute(0xc0, 23, ''), 'FRR CVE-2023-38802'),
    stranger('tunnel encapsulation, TLV beyond it', attribute(0xc0, 23, '0008ffff0401'), 'FRR CVE-2024-44070'),
    stranger('tunnel encapsulation, sub-TLV beyond it', attribute(0xc0, 23, '0008000401ff0000'), 'FRR CVE-2024-44070'),
    stranger('entropy label with a value', attribute(0xc0, 28, 'deadbeef'), 'Junos CVE-2023-4481'),
    stranger('entropy label without transitive bit', attribute(0x80, 28, ''), 'Junos CVE-2023-4481'),
    stranger('prefix SID of 1 octet', attribute(0xc0, 40, '01'), 'FRR CVE-2023-31490'),
    stranger('prefix SID, TLV beyond it', attribute(0xc0, 40, '01ffff00'), 'FRR CVE-2024-31948'),
    stranger('prefix SID, label index of 2 octets', attribute(0xc0, 40, '0100020000'), 'FRR CVE-2024-31948'),
    stranger('prefix SID all zero', attribute(0xc0, 40, '00'.repeat(10)), 'Arista and Junos, 20 May 2025'),
    stranger('AIGP with TLV length 0', attribute(0x80, 26, '010000'), 'GoBGP PR 2367'),
    stranger('AIGP with TLV length 2', attribute(0x80, 26, '010002'), 'GoBGP PR 2367'),
    stranger('AIGP with TLV length 65535', attribute(0x80, 26, '01ffff0000000000000000'), 'GoBGP PR 2367'),
    stranger('AIGP of 1 octet', attribute(0x80, 26, '01'), 'GoBGP PR 2367'),
    stranger('PMSI tunnel of 3 octets', attribute(0xc0, 22, '000000'), 'RFC 6514'),
    stranger('IPv6 extended community cut', attribute(0xc0, 25, '0002'.padEnd(38, '0')), 'GoBGP CVE-2026-37460'),
    stranger('IPv6 extended community of 1 octet', attribute(0xc0, 25, '00'), 'GoBGP CVE-2026-37460'),
    stranger('BGP-LS attribute cut', attribute(0x80, 29, '0400ffff'), 'GoBGP 2026'),
    stranger('ATTR_SET of 3 octets', attribute(0xc0, 128, '0000fd'), 'RFC 6368'),
    stranger('ATTR_SET that holds half an attribute', attribute(0xc0, 128, '0000fdeb4001'), 'RFC 6368'),
    stranger('OTC of 3 octets', attribute(0xc0, 35, '00fdeb'), 'RFC 9234 §5'),
  ];
}

/** MP_REACH_NLRI and MP_UNREACH_NLRI · RFC 4760 §7, RFC 7606 §5.3, §7.11. */
function multiprotocol(): Row[] {
  const six = (attr: string): string => update({ attributes: attr + mandatory6('ebgp') });
  const bad: readonly Outcome[] = ['reset 3/9'];
  const more = {
    family: 6 as const,
    origin: 'RFC 4760 §7',
    acceptable: ['reset 3/1', 'reset 3/5', 'reset 3/8', 'reset 3/10'] as const,
  };
  const global = '20010db80099000000000000000000fe';
  const reach = (length: number, hop: string): string => six(mpReach(TESTED6, `000201${u8(length)}${hop}00`));
  const cve = { ...more, origin: 'FRR CVE-2023-46752' };
  return [
    row('IPv6 route, right', six(mpReach(TESTED6)), ['kept'], { family: 6, origin: 'RFC 2545 §3' }),
    row('MP_REACH of 0 octets', six(attribute(0x80, 14, '')), bad, cve),
    row('MP_REACH of 3 octets', six(attribute(0x80, 14, '000201')), bad, { ...cve, origin: 'GoBGP 3.10 (measured)' }),
    row('MP_REACH cut in the next hop', six(attribute(0x80, 14, `00020110${global.slice(0, 20)}`)), bad, cve),
    row('MP_REACH without the reserved octet', six(attribute(0x80, 14, `00020110${global}`)), bad, cve),
    row('MP_REACH next hop of 0 octets', reach(0, ''), bad, more),
    row('MP_REACH next hop of 15 octets', reach(15, global.slice(2)), bad, more),
    row('MP_REACH next hop of 17 octets', reach(17, `${global}00`), bad, more),
    row('MP_REACH next hop of 31 octets', reach(31, `${global}${global.slice(2)}`), bad, more),
    row('MP_REACH next hop of 33 octets', reach(33, `${global}${global}00`), bad, more),
    row('MP_REACH next hop of 255 octets', reach(255, global), bad, more),
    row('MP_REACH IPv6 with a next hop of 4 octets', reach(4, '0a63fffe'), bad, {
      ...more,
      acceptable: [...more.acceptable, 'withdrawn'],
    }),
    row('MP_REACH next hop global and link-local', reach(32, `${global}fe8000000000000000000000000000fe`), ['kept'], {
      family: 6,
      origin: 'RFC 2545 §3',
    }),
    row('MP_REACH next hop ::', reach(16, '00'.repeat(16)), ['withdrawn'], {
      family: 6,
      origin: 'RFC 2545 §3',
      acceptable: ['reset 3/8', 'reset 3/9'],
    }),
    row('MP_REACH next hop ::1', reach(16, `${'00'.repeat(15)}01`), ['withdrawn'], {
      family: 6,
      origin: 'RFC 2545 §3',
      acceptable: ['kept', 'reset 3/8', 'reset 3/9'],
    }),
    row('MP_REACH next hop multicast', reach(16, `ff02${'00'.repeat(13)}01`), ['withdrawn'], {
      family: 6,
      origin: 'RFC 2545 §3',
      acceptable: ['kept', 'reset 3/8', 'reset 3/9'],
    }),
    row('MP_REACH reserved octet 255', six(mpReach(TESTED6, `00020110${global}ff`)), ['kept'], {
      family: 6,
      origin: 'RFC 4760 §3',
    }),
    row('MP_REACH prefix of 129 bits', six(mpReach(`8120010db8${'00'.repeat(13)}`)), bad, more),
    row('MP_REACH prefix cut', six(mpReach('3020010db8')), bad, more),
    row('MP_REACH prefix: length alone', six(mpReach(`${TESTED6}40`)), bad, more),
    row('MP_REACH without prefixes', six(mpReach('')), ['old'], { family: 6, origin: 'RFC 4760 §3' }),
    row('MP_REACH of an unknown family', six(attribute(0x80, 14, '4004470004')), ['old'], {
      family: 6,
      origin: 'RFC 4760 §6',
      acceptable: ['reset 3/9'],
    }),
    row('MP_REACH of IPv6 multicast', six(mpReach(TESTED6, `00020210${global}00`)), ['old'], {
      family: 6,
      origin: 'RFC 4760 §6',
      acceptable: ['reset 3/9'],
    }),
    row('MP_UNREACH of 0 octets', update({ attributes: attribute(0x80, 15, '') }), bad, cve),
    row('MP_UNREACH of 2 octets', update({ attributes: attribute(0x80, 15, '0002') }), bad, cve),
    row(
      'MP_UNREACH prefix of 129 bits',
      update({ attributes: attribute(0x80, 15, `000201ff${'00'.repeat(32)}`) }),
      bad,
      more,
    ),
    row('MP_UNREACH prefix cut', update({ attributes: attribute(0x80, 15, '0002013020010d') }), bad, more),
    row('MP_UNREACH of an unknown family', update({ attributes: attribute(0x80, 15, '40044700') }), ['old'], {
      family: 6,
      origin: 'RFC 4760 §6',
      acceptable: ['reset 3/9'],
    }),
    row(
      'MP_UNREACH withdraws an IPv6 route',
      update({ attributes: attribute(0x80, 15, `000201${TESTED6}`) }),
      ['withdrawn'],
      { family: 6, origin: 'RFC 4760 §4' },
    ),
    row(
      'MP_UNREACH withdraws an IPv4 route',
      update({ attributes: attribute(0x80, 15, `000101${TESTED4}`) }),
      ['withdrawn'],
      { origin: 'OpenBGPD 7.7 (measured)' },
    ),
    row(
      'MP_REACH announces an IPv4 route',
      update({ attributes: mpReach(TESTED4, '000101040a63fffe00') + mandatory6('ebgp') }),
      ['kept'],
      { origin: 'RFC 4760 §3' },
    ),
    row('MP_REACH twice', six(mpReach(TESTED6) + mpReach(TESTED6)), ['reset 3/1'], {
      family: 6,
      origin: 'RFC 7606 §3 g',
    }),
    row('MP_UNREACH twice', update({ attributes: attribute(0x80, 15, '000201').repeat(2) }), ['reset 3/1'], {
      family: 6,
      origin: 'RFC 7606 §3 g',
    }),
    row(
      'MP_REACH and MP_UNREACH of one prefix',
      six(mpReach(TESTED6) + attribute(0x80, 15, `000201${TESTED6}`)),
      ['kept', 'withdrawn'],
      { family: 6, origin: 'RFC 7606 §5.1' },
    ),
    row('MP_REACH last', update({ attributes: mandatory6('ebgp') + mpReach(TESTED6) }), ['kept'], {
      family: 6,
      origin: 'RFC 7606 §5.1',
    }),
    row('MP_REACH with IPv4 NLRI', update({ attributes: mpReach(TESTED6) + ALL, nlri: TESTED4 }), ['kept'], {
      origin: 'RFC 7606 §5.1',
    }),
  ];
}

/** AS paths: long ones, sets, and those of two-octet speakers · RFC 6793. */
function paths(): Row[] {
  const as2 = { session: 'ebgp-as2' as const, origin: 'RFC 6793 §6' };
  const withPath = (value: string, extra = ''): string =>
    update({ attributes: ORIGIN + longAttribute(0x40, 2, value) + nextHop('ebgp') + extra, nlri: TESTED4 });
  const long = (count: number): string => sequence([65_003, NEW, ...Array.from({ length: count - 2 }, () => 64_700)]);
  const last = sequence([NEW]);
  const as4 = (value: string): string =>
    update({ attributes: mandatory('ebgp-as2') + attribute(0xc0, 17, value), nlri: TESTED4 });
  return [
    row('AS_PATH of 255 ASes', withPath(long(255)), ['kept'], { origin: 'IOS, February 2009' }),
    row('AS_PATH of 900 ASes', withPath(`${long(255)}${long(255)}${long(255)}${long(130)}`), ['kept'], {
      origin: 'BIRD CVE-2026-49943',
      acceptable: ['withdrawn'],
    }),
    row(
      'AS_PATH of 255 ASes, two octets',
      update({
        attributes:
          ORIGIN +
          longAttribute(0x40, 2, sequence([65_003, NEW, ...Array.from({ length: 253 }, () => 64_700)], 2)) +
          nextHop('ebgp'),
        nlri: TESTED4,
      }),
      ['kept'],
      { ...as2, origin: 'Junos CVE-2023-44186' },
    ),
    row('AS_PATH with a set', withPath(`${sequence([65_003])}01020000fd840000fd86${last}`), ['kept'], {
      origin: 'RFC 4271 §4.3',
      acceptable: ['withdrawn'],
    }),
    row('AS_PATH that is empty, from another AS', withPath(''), ['withdrawn'], {
      origin: 'RFC 4271 §6.3',
      acceptable: ['kept', 'reset 3/11'],
    }),
    row('AS_PATH that starts with another AS', withPath(sequence([64_777, NEW])), ['withdrawn'], {
      origin: 'RFC 4271 §6.3',
      acceptable: ['kept', 'reset 3/11'],
    }),
    row('AS_PATH with the own AS', withPath(sequence([65_003, 65_001, NEW])), ['withdrawn'], {
      origin: 'RFC 4271 §9.1.2',
    }),
    row('AS_PATH with AS 0', withPath(sequence([65_003, 0, NEW])), ['withdrawn'], { origin: 'RFC 7607 §2' }),
    row('AS_PATH with AS_TRANS', withPath(sequence([65_003, 23_456, NEW])), ['kept'], {
      origin: 'RFC 6793 §4.2',
      acceptable: ['withdrawn'],
    }),
    row('AS_PATH segment type 0', withPath(`0001${u32(NEW)}`), ['withdrawn'], { origin: 'RFC 7606 §7.2' }),
    row('AS_PATH segment type 5', withPath(`${last}0501${u32(NEW)}`), ['withdrawn'], { origin: 'RFC 7606 §7.2' }),
    row('AS_PATH segment of no AS', withPath(`${sequence([65_003])}0200${last}`), ['withdrawn'], {
      origin: 'RFC 7606 §7.2',
    }),
    row('AS_PATH segment beyond the attribute', withPath(`0205${u32(65_003)}${u32(NEW)}`), ['withdrawn'], {
      origin: 'RFC 7606 §7.2',
    }),
    row('AS_PATH one octet left', withPath(`${sequence([65_003, NEW])}02`), ['withdrawn'], { origin: 'RFC 7606 §7.2' }),
    row('AS_PATH of two-octet ASes', withPath(`0202${u16(65_003)}${u16(NEW)}`), ['withdrawn'], {
      origin: 'RFC 7606 §7.2',
    }),
    row(
      'AS_PATH with a confederation sequence',
      withPath(`0301${u32(64_600)}${sequence([65_003, NEW])}`),
      ['withdrawn'],
      { origin: 'RFC 5065 §5.3', acceptable: ['kept', 'reset 3/11'] },
    ),
    row(
      'AS4_PATH from a four-octet speaker',
      update({ attributes: ALL + attribute(0xc0, 17, sequence([65_003, 64_999])), nlri: TESTED4 }),
      ['kept'],
      { origin: 'RFC 6793 §6' },
    ),
    row('AS4_PATH, right', as4(sequence([65_003, NEW])), ['kept'], as2),
    row('AS4_PATH of 0 octets', as4(''), ['kept'], as2),
    row('AS4_PATH of 3 octets', as4('020100'), ['kept'], as2),
    row('AS4_PATH segment of no AS', as4('0200'), ['kept'], as2),
    row('AS4_PATH segment type 9', as4(`0901${u32(NEW)}`), ['kept'], as2),
    row('AS4_PATH segment beyond the attribute', as4(`02ff${u32(NEW)}`), ['kept'], as2),
    row('AS4_PATH with a confederation segment', as4(`0301${u32(64_600)}${sequence([65_003, NEW])}`), ['kept'], {
      ...as2,
      origin: 'OpenBGPD 2009, IOS',
    }),
    row('AS4_PATH longer than AS_PATH', as4(sequence([1, 2, 3, 4, 5, 6])), ['kept'], as2),
    row(
      'bad AS4_PATH in front of AS_PATH',
      update({
        attributes: ORIGIN + attribute(0xc0, 17, '0201ff') + asPath('ebgp-as2', NEW) + nextHop('ebgp'),
        nlri: TESTED4,
      }),
      ['kept'],
      { ...as2, origin: 'GoBGP CVE-2026-41643' },
    ),
    row(
      'AS4_AGGREGATOR of 7 octets',
      update({
        attributes: mandatory('ebgp-as2') + attribute(0xc0, 7, '5ba00a630001') + attribute(0xc0, 18, '0000fdeb0a6300'),
        nlri: TESTED4,
      }),
      ['kept'],
      as2,
    ),
    row(
      'AS4_AGGREGATOR without AGGREGATOR',
      update({ attributes: mandatory('ebgp-as2') + attribute(0xc0, 18, '0000fdeb0a630001'), nlri: TESTED4 }),
      ['kept'],
      as2,
    ),
  ];
}

export function updateRows(): readonly Row[] {
  return [...lengths(), ...prefixes(), ...presence(), ...strangers(), ...multiprotocol(), ...paths()];
}
