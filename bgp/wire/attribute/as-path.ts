/**
 * AS_PATH (2): the ASes a route has passed, nearest first (RFC 4271 §5.1.2), with two or four octets per AS as the
 * session agreed (RFC 6793 §4.1). No confederations: their segments are unrecognized here.
 *
 *   +---------------+---------------+-------------------------------+
 *   | Segment Type  | Number of ASes|  ASes, 2 or 4 octets each     |  …repeated
 *   +---------------+---------------+-------------------------------+
 *     1 AS_SET, 2 AS_SEQUENCE
 */
import { AS_TRANS, AttributeCode, UpdateSubcode } from '../../iana.ts';
import { readU16, readU32 } from '../reader.ts';
import { Writer } from '../writer.ts';
import type { AsSegment } from './attributes.ts';
import { AttributeClass, type AttributeRow } from './row.ts';

const SegmentType = {
  set: 1, // RFC 4271
  sequence: 2, // RFC 4271
  confedSequence: 3, // RFC 5065
  confedSet: 4, // RFC 5065
} as const;

const MAX_SEGMENT = 255;

/** Octets per AS number. */
export type AsWidth = 2 | 4;

export const asPath: AttributeRow = {
  code: AttributeCode.asPath,
  name: 'AS_PATH',
  rfc: 'RFC 4271 §5.1.2, RFC 6793 §4',
  class: AttributeClass.wellKnown,
  malformed: 'treat-as-withdraw', // RFC 7606 §7.2
  mandatory: 'with-routes',
  scope: 'any',
  decode: (value, draft, context) => {
    const segments = decodeSegments(value, context.fourOctetAs ? 4 : 2, 'refuse');
    if (typeof segments === 'string') return { subcode: UpdateSubcode.malformedAsPath, reason: segments };
    draft.asPath = segments;
    return undefined;
  },
  encode: (attributes, context) => encodeSegments(attributes.asPath, context.fourOctetAs ? 4 : 2),
};

/**
 * The segments of an AS path, or in words why they are malformed · RFC 7606 §7.2, AS 0 RFC 7607 §2. Confederation
 * segments make an AS_PATH malformed; in an AS4_PATH they are dropped and the rest is kept (RFC 6793 §6).
 */
export function decodeSegments(value: Uint8Array, width: AsWidth, confed: 'refuse' | 'drop'): AsSegment[] | string {
  const segments: AsSegment[] = [];
  let at = 0;
  while (at < value.length) {
    if (value.length - at < 2) return 'a single octet is left where a segment should start';
    const type = value[at] ?? 0;
    const count = value[at + 1] ?? 0;
    const end = at + 2 + count * width;
    const isConfed = type === SegmentType.confedSequence || type === SegmentType.confedSet;
    if (isConfed ? confed === 'refuse' : type !== SegmentType.set && type !== SegmentType.sequence) {
      return `segment type ${type} is not recognized`;
    }
    if (count === 0) return 'segment has no as';
    if (end > value.length) return `segment of ${count} ases reaches past the attribute`;
    if (!isConfed) {
      const asns = decodeAsns(value, { start: at + 2, end }, width);
      if (asns.includes(0)) return 'as 0 is reserved';
      segments.push({ kind: type === SegmentType.set ? 'set' : 'sequence', asns });
    }
    at = end;
  }
  return segments;
}

/** The bytes of an AS path; with two octets per AS, an AS that does not fit becomes AS_TRANS (RFC 6793 §4.2.2). */
export function encodeSegments(segments: readonly AsSegment[], width: AsWidth): Uint8Array {
  const writer = new Writer();
  for (const segment of segments) {
    // A segment counts its ASes in one octet; a longer one goes out as several.
    for (let from = 0; from < segment.asns.length; from += MAX_SEGMENT) {
      const asns = segment.asns.slice(from, from + MAX_SEGMENT);
      writer.u8(segment.kind === 'set' ? SegmentType.set : SegmentType.sequence).u8(asns.length);
      for (const as of asns) {
        if (width === 4) writer.u32(as);
        else writer.u16(toTwoOctets(as));
      }
    }
  }
  return writer.finish();
}

/** The AS as a two-octet speaker must see it · RFC 6793 §4.2.2. */
export function toTwoOctets(as: number): number {
  return as > 0xffff ? AS_TRANS : as;
}

/** Whether some AS of the path needs four octets. */
export function needsFourOctets(segments: readonly AsSegment[]): boolean {
  return segments.some((segment) => segment.asns.some((as) => as > 0xffff));
}

/** Hops of a path for comparing lengths: a set counts as one · RFC 4271 §9.1.2.2(a). */
export function countAses(segments: readonly AsSegment[]): number {
  return segments.reduce((sum, segment) => sum + (segment.kind === 'set' ? 1 : segment.asns.length), 0);
}

function decodeAsns(
  value: Uint8Array,
  span: { readonly start: number; readonly end: number },
  width: AsWidth,
): number[] {
  const asns: number[] = [];
  for (let at = span.start; at < span.end; at += width) {
    asns.push(width === 4 ? readU32(value, at) : readU16(value, at));
  }
  return asns;
}
