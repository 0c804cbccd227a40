/**
 * AS4_PATH (17): the true AS_PATH, carried past speakers that know only two octets per AS (RFC 6793 §4.2). Only such a
 * session has it; between four-octet speakers it is discarded unread. The layout is AS_PATH's with four octets per AS.
 */
import { AttributeCode, UpdateSubcode } from '../../iana.ts';
import { countAses, decodeSegments, encodeSegments, needsFourOctets } from './as-path.ts';
import type { AsSegment } from './attributes.ts';
import { AttributeClass, type AttributeRow } from './row.ts';

const MAX_SEGMENT = 255;

export const as4Path: AttributeRow = {
  code: AttributeCode.as4Path,
  name: 'AS4_PATH',
  rfc: 'RFC 6793 §4.2',
  class: AttributeClass.optionalTransitive,
  malformed: 'discard', // RFC 6793 §6
  mandatory: 'never',
  scope: 'any',
  decode: (value, draft, context) => {
    if (context.fourOctetAs) return undefined;
    const segments = value.length === 0 ? 'is empty' : decodeSegments(value, 4, 'drop');
    if (typeof segments === 'string') return { subcode: UpdateSubcode.optionalAttributeError, reason: segments };
    draft.as4Path = segments;
    return undefined;
  },
  encode: (attributes, context) =>
    context.fourOctetAs || !needsFourOctets(attributes.asPath) ? undefined : encodeSegments(attributes.asPath, 4),
};

/**
 * The path of a route from a two-octet speaker: AS4_PATH, led by those ASes of AS_PATH that two-octet speakers have put
 * in front of it since; AS_PATH alone when it is the shorter one · RFC 6793 §4.2.3.
 */
export function mergeAs4Path(path: readonly AsSegment[], path4: readonly AsSegment[]): readonly AsSegment[] {
  const leading = countAses(path) - countAses(path4);
  if (leading < 0) return path;
  const merged = takeLeading(path, leading);
  const [first, ...rest] = path4;
  const last = merged.at(-1);
  if (first === undefined || last?.kind !== 'sequence' || first.kind !== 'sequence') return [...merged, ...path4];
  const joined = [...last.asns, ...first.asns];
  if (joined.length > MAX_SEGMENT) return [...merged, ...path4];
  return [...merged.slice(0, -1), { kind: 'sequence', asns: joined }, ...rest];
}

/** The front of a path that counts `hops`. */
function takeLeading(path: readonly AsSegment[], hops: number): AsSegment[] {
  const taken: AsSegment[] = [];
  let left = hops;
  for (const segment of path) {
    if (left === 0) break;
    const asns = segment.kind === 'set' ? segment.asns : segment.asns.slice(0, left);
    taken.push({ kind: segment.kind, asns });
    left -= segment.kind === 'set' ? 1 : asns.length;
  }
  return taken;
}
