/**
 * Rows made from a table: each known attribute with every wrong class of flags, with harmless flags, with wrong lengths and
 * values, and twice (RFC 4271 §6.3, RFC 7606 §3, §7).
 */
import {
  attribute,
  asPath,
  localPref,
  NEW,
  nextHop,
  ORIGIN,
  sequence,
  type SessionKind,
  TESTED4,
  update,
} from './bytes.ts';
import type { Outcome, Row } from './corpus.ts';

interface Known {
  readonly name: string;
  readonly code: number;
  readonly flags: 0x40 | 0x80 | 0xc0;
  readonly value: string;
  /** RFC 7606 §7: what a value of a wrong length means. */
  readonly malformed: 'withdrawn' | 'kept';
  /** Values that are wrong, with a word about each. */
  readonly wrong: readonly (readonly [string, string])[];
  readonly session?: SessionKind;
  /** The second one of two, where it must differ to be told apart. */
  readonly second?: string;
}

const OTHER_PATH = sequence([65_003, 64_999]);

const KNOWN: readonly Known[] = [
  {
    name: 'ORIGIN',
    code: 1,
    flags: 0x40,
    value: '00',
    malformed: 'withdrawn',
    second: '01',
    wrong: [
      ['of 0 octets', ''],
      ['of 2 octets', '0000'],
      ['3', '03'],
      ['255', 'ff'],
    ],
  },
  {
    name: 'AS_PATH',
    code: 2,
    flags: 0x40,
    value: sequence([65_003, NEW]),
    malformed: 'withdrawn',
    second: OTHER_PATH,
    wrong: [
      ['of 1 octet', '02'],
      ['one octet short', sequence([65_003, NEW]).slice(0, -2)],
      ['one octet long', `${sequence([65_003, NEW])}00`],
    ],
  },
  {
    name: 'NEXT_HOP',
    code: 3,
    flags: 0x40,
    value: '0a63fffe',
    malformed: 'withdrawn',
    second: '0a63fffd',
    wrong: [
      ['of 0 octets', ''],
      ['of 3 octets', '0a63ff'],
      ['of 5 octets', '0a63fffe00'],
      ['of 16 octets', '20010db80099000000000000000000fe'],
      ['0.0.0.0', '00000000'],
      ['255.255.255.255', 'ffffffff'],
      ['224.0.0.1', 'e0000001'],
      ['127.0.0.1', '7f000001'],
      ['our own address', '0a630001'],
    ],
  },
  {
    name: 'MULTI_EXIT_DISC',
    code: 4,
    flags: 0x80,
    value: '00000005',
    malformed: 'withdrawn',
    second: '00000006',
    wrong: [
      ['of 0 octets', ''],
      ['of 3 octets', '000005'],
      ['of 5 octets', '0000000500'],
    ],
  },
  {
    name: 'LOCAL_PREF',
    code: 5,
    flags: 0x40,
    value: '00000064',
    malformed: 'withdrawn',
    session: 'ibgp',
    second: '00000065',
    wrong: [
      ['of 0 octets', ''],
      ['of 3 octets', '000064'],
      ['of 5 octets', '0000006400'],
    ],
  },
  {
    name: 'ATOMIC_AGGREGATE',
    code: 6,
    flags: 0x40,
    value: '',
    malformed: 'kept',
    wrong: [
      ['of 1 octet', '00'],
      ['of 4 octets', '00000000'],
    ],
  },
  {
    name: 'AGGREGATOR',
    code: 7,
    flags: 0xc0,
    value: '0000fdeb0a630001',
    malformed: 'kept',
    wrong: [
      ['of 0 octets', ''],
      ['of 6 octets', 'fdeb0a630001'],
      ['of 7 octets', '0000fdeb0a6300'],
      ['of 9 octets', '0000fdeb0a63000100'],
      ['AS 0', '000000000a630001'],
    ],
  },
  {
    name: 'COMMUNITIES',
    code: 8,
    flags: 0xc0,
    value: 'fdeb0001',
    malformed: 'withdrawn',
    wrong: [
      ['of 0 octets', ''],
      ['of 3 octets', 'fdeb00'],
      ['of 5 octets', 'fdeb000100'],
    ],
  },
  {
    name: 'ORIGINATOR_ID',
    code: 9,
    flags: 0x80,
    value: '0a62fffd',
    malformed: 'withdrawn',
    session: 'ibgp',
    wrong: [
      ['of 0 octets', ''],
      ['of 3 octets', '0a62ff'],
      ['of 5 octets', '0a62fffd00'],
    ],
  },
  {
    name: 'CLUSTER_LIST',
    code: 10,
    flags: 0x80,
    value: '0a62fffc',
    malformed: 'withdrawn',
    session: 'ibgp',
    wrong: [
      ['of 0 octets', ''],
      ['of 3 octets', '0a62ff'],
      ['of 5 octets', '0a62fffc00'],
    ],
  },
  {
    name: 'EXTENDED COMMUNITIES',
    code: 16,
    flags: 0xc0,
    value: '0002fdeb00000001',
    malformed: 'withdrawn',
    wrong: [
      ['of 0 octets', ''],
      ['of 7 octets', '0002fdeb000000'],
      ['of 9 octets', '0002fdeb0000000100'],
    ],
  },
  {
    name: 'LARGE_COMMUNITY',
    code: 32,
    flags: 0xc0,
    value: '0000fdeb0000000100000002',
    malformed: 'withdrawn',
    wrong: [
      ['of 0 octets', ''],
      ['of 11 octets', '0000fdeb00000001000000'],
      ['of 13 octets', '0000fdeb000000010000000200'],
    ],
  },
];

const CLASSES = [0x00, 0x40, 0x80, 0xc0] as const;

/** An announcement of the tested prefix with `parts` in place of the right attribute. */
function announce(known: Known, ...parts: readonly string[]): string {
  const session = known.session ?? 'ebgp';
  const base = [
    [1, ORIGIN],
    [2, asPath(session, NEW)],
    [3, nextHop(session)],
    [5, localPref(session)],
  ] as const;
  const others = base.filter(([code]) => code !== known.code).map(([, hex]) => hex);
  return update({ attributes: [...others, ...parts].join(''), nlri: TESTED4 });
}

function rowsOf(known: Known): Row[] {
  const { name, code, flags, value, malformed, wrong, session = 'ebgp' } = known;
  const gone: Outcome[] = ['withdrawn'];
  const row = (what: string, hex: string, strict: readonly Outcome[], more: Partial<Row> = {}): Row => ({
    name: `${name} ${what}`,
    origin: 'RFC 7606 §7',
    session,
    phase: 'established',
    hex,
    family: 4,
    strict,
    acceptable: [],
    ...more,
  });
  const flagged = (more: number): string => announce(known, attribute(flags | more, code, value));
  const classRows = CLASSES.filter((other) => other !== flags).map((other) =>
    row(`with flags 0x${other.toString(16).padStart(2, '0')}`, announce(known, attribute(other, code, value)), gone, {
      origin: code === 1 && other === 0x00 ? 'GoBGP CVE-2026-41642' : 'OpenBGPD CVE-2023-38283',
      acceptable: malformed === 'kept' || (flags & 0x80) !== 0 ? ['kept'] : [],
    }),
  );
  const isOurNextHop = (hex: string): boolean => code === 3 && (hex === '0a630001' || hex === '7f000001');
  return [
    row('that is right', announce(known, attribute(flags, code, value)), ['kept'], { origin: 'control' }),
    ...classRows,
    row('with the Partial bit', flagged(0x20), ['kept'], {
      origin: 'RFC 4271 §4.3',
      acceptable: (flags & 0xc0) === 0xc0 ? [] : gone,
    }),
    row('with a reserved flag', flagged(0x01), ['kept'], { origin: 'OpenBGPD 2011' }),
    row('with all reserved flags', flagged(0x0f), ['kept'], { origin: 'OpenBGPD 2011' }),
    row('with a two-octet length', flagged(0x10), ['kept'], { origin: 'RFC 4271 §4.3' }),
    row(
      'twice',
      announce(known, attribute(flags, code, value), attribute(flags, code, known.second ?? value)),
      ['kept'],
      { origin: 'RFC 7606 §3 g', acceptable: gone },
    ),
    ...wrong.map(([what, hex]) =>
      row(what, announce(known, attribute(flags, code, hex)), [malformed], {
        acceptable: isOurNextHop(hex) ? ['kept'] : malformed === 'kept' ? gone : [],
      }),
    ),
  ];
}

/** From another AS these are none of our business, whatever they say · RFC 7606 §7.5, §7.9, §7.10. */
function fromOutside(known: Known): Row[] {
  const outside: Known = { ...known, session: 'ebgp' };
  return ['', known.value, known.value.slice(2)].map((value) => ({
    name: `${known.name} of ${value.length / 2} octets from another AS`,
    origin: 'RFC 7606 §7.5, §7.9, §7.10',
    session: 'ebgp',
    phase: 'established',
    hex: announce(outside, attribute(known.flags, known.code, value)),
    family: 4,
    strict: ['kept'],
    acceptable: [],
  }));
}

export function attributeRows(): readonly Row[] {
  return KNOWN.flatMap((known) => [...rowsOf(known), ...(known.session === 'ibgp' ? fromOutside(known) : [])]);
}
