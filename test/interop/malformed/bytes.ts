/**
 * Builds BGP messages as hexadecimal text, wrong ones on purpose. Written without the codec of bgp/wire: a test of bytes
 * must not share mistakes with what it tests.
 */

/** The addresses and AS numbers all rows of the corpus are made for. */
export const PLAN = {
  subjectAs: 65_001,
  ebgpAs: 65_003,
  /** The subject's addresses; the raw peers have any other address of the /16. */
  subjectEbgp: '10.99.0.1',
  subjectIbgp: '10.98.0.1',
  tested4: '203.0.113.0/24',
  tested6: '2001:db8:bad::/48',
  control: '192.0.2.0/24',
  marker: '198.51.100.0/24',
} as const;

export const TESTED4 = '18cb0071';
export const TESTED6 = '3020010db80bad';
const CONTROL = '18c00002';
const MARKER = '18c63364';

export const u8 = (value: number): string => (value & 0xff).toString(16).padStart(2, '0');
export const u16 = (value: number): string => (value & 0xffff).toString(16).padStart(4, '0');
export const u32 = (value: number): string => (value >>> 0).toString(16).padStart(8, '0');
const sizeOf = (hex: string): number => hex.length / 2;

/** A whole message; `length` and `marker` may lie. */
export function message(
  type: number,
  body: string,
  lies: { readonly length?: number; readonly marker?: string } = {},
): string {
  return `${lies.marker ?? 'ff'.repeat(16)}${u16(lies.length ?? sizeOf(body) + 19)}${u8(type)}${body}`;
}

export const KEEPALIVE = message(4, '');

/** One path attribute; the length is one octet unless the flags say two. */
export function attribute(flags: number, code: number, value: string, length = sizeOf(value)): string {
  return `${u8(flags)}${u8(code)}${(flags & 0x10) !== 0 ? u16(length) : u8(length)}${value}`;
}

/** Attributes too long for one length octet. */
export function longAttribute(flags: number, code: number, value: string): string {
  return attribute(flags | 0x10, code, value);
}

export interface UpdateParts {
  readonly withdrawn?: string;
  readonly attributes?: string;
  readonly nlri?: string;
  /** What the two length fields say, where they lie. */
  readonly withdrawnLength?: number;
  readonly attributesLength?: number;
}

export function update(parts: UpdateParts): string {
  const { withdrawn = '', attributes = '', nlri = '' } = parts;
  const lengths = [parts.withdrawnLength ?? sizeOf(withdrawn), parts.attributesLength ?? sizeOf(attributes)];
  return message(2, `${u16(lengths[0] ?? 0)}${withdrawn}${u16(lengths[1] ?? 0)}${attributes}${nlri}`);
}

/** Kinds of session a row may need. */
export type SessionKind = 'ebgp' | 'ibgp' | 'ebgp-as2';

export const sequence = (asns: readonly number[], width = 4): string =>
  `02${u8(asns.length)}${asns.map((as) => (width === 4 ? u32(as) : u16(as))).join('')}`;

/** AS that stands last in the path: tells the tested announcement (NEW) from the one before it (OLD). */
export const OLD = 64_900;
export const NEW = 64_901;

const NEXT_HOPS = { ebgp: '0a63fffe', 'ebgp-as2': '0a63fffe', ibgp: '0a62fffe' } as const;
const NEXT_HOP6 = '20010db80099000000000000000000fe';

export const ORIGIN = attribute(0x40, 1, '00');

/** The path a session of this kind would announce, ending in `last`. */
export function asPath(kind: SessionKind, last: number): string {
  if (kind === 'ibgp') return attribute(0x40, 2, sequence([last]));
  return attribute(0x40, 2, sequence([PLAN.ebgpAs, last], kind === 'ebgp-as2' ? 2 : 4));
}

export const nextHop = (kind: SessionKind): string => attribute(0x40, 3, NEXT_HOPS[kind]);

export const localPref = (kind: SessionKind): string => (kind === 'ibgp' ? attribute(0x40, 5, '00000064') : '');

/** All that an IPv4 announcement must have. */
export function mandatory(kind: SessionKind, last = NEW): string {
  return ORIGIN + asPath(kind, last) + nextHop(kind) + localPref(kind);
}

/** MP_REACH_NLRI of IPv6 unicast. */
export function mpReach(nlri: string, head = `000201${u8(16)}${NEXT_HOP6}00`): string {
  return attribute(0x90, 14, head + nlri);
}

export function mandatory6(kind: SessionKind, last = NEW): string {
  return ORIGIN + asPath(kind, last) + localPref(kind);
}

/** What is told before the tested message: the control route, and the tested prefixes with the OLD path. */
export function preamble(kind: SessionKind): string {
  const four = update({ attributes: mandatory(kind, OLD), nlri: CONTROL + TESTED4 });
  const six = update({ attributes: mpReach(TESTED6) + mandatory6(kind, OLD) });
  return four + six;
}

/** What is told behind it: when this has arrived, the tested message was dealt with. */
export function marker(kind: SessionKind): string {
  return update({ attributes: mandatory(kind, OLD), nlri: MARKER });
}

export const capability = (code: number, value: string): string => `${u8(code)}${u8(sizeOf(value))}${value}`;
export const parameter = (type: number, value: string): string => `${u8(type)}${u8(sizeOf(value))}${value}`;

const MULTIPROTOCOL = capability(1, '00010001') + capability(1, '00020001');

/** The capabilities of a good OPEN. */
export function goodCapabilities(kind: SessionKind): string {
  const as = kind === 'ibgp' ? PLAN.subjectAs : PLAN.ebgpAs;
  return MULTIPROTOCOL + capability(2, '') + (kind === 'ebgp-as2' ? '' : capability(65, u32(as)));
}

/** An OPEN; anything may be replaced. The identifier is the address of the raw peer. */
export function open(
  kind: SessionKind,
  parts: {
    readonly version?: number;
    readonly as?: number;
    readonly holdTime?: number;
    readonly identifier?: string;
    readonly parameters?: string;
    readonly parametersLength?: number;
  } = {},
): string {
  const parameters = parts.parameters ?? parameter(2, goodCapabilities(kind));
  const as = parts.as ?? (kind === 'ibgp' ? PLAN.subjectAs : PLAN.ebgpAs);
  const head = `${u8(parts.version ?? 4)}${u16(as)}${u16(parts.holdTime ?? 90)}${parts.identifier ?? '0a63fffe'}`;
  return message(1, `${head}${u8(parts.parametersLength ?? sizeOf(parameters))}${parameters}`);
}
