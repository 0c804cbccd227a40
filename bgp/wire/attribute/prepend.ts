/** Puts AS numbers in front of a path (RFC 4271 §5.1.2): into its first sequence as long as that has room. */
import type { AsSegment } from './attributes.ts';

/** RFC 4271 §4.3: a segment counts its ASes in one octet. */
const MAX_SEGMENT_LENGTH = 255;

/** The path with `asns` in front, in the order given · at most 255 at a time. */
export function prependAs(asPath: readonly AsSegment[], asns: readonly number[]): readonly AsSegment[] {
  if (asns.length === 0) return asPath;
  const [first, ...rest] = asPath;
  if (first?.kind !== 'sequence' || first.asns.length + asns.length > MAX_SEGMENT_LENGTH) {
    return [{ kind: 'sequence', asns: [...asns] }, ...asPath];
  }
  return [{ kind: 'sequence', asns: [...asns, ...first.asns] }, ...rest];
}
