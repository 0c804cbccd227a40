/** Path attributes for people, on one line, in the words looking glasses use. */
import { formatHex } from '../hex.ts';
import type { AsSegment, PathAttributes } from './attributes.ts';

/** Only what is there: `origin igp, as path 65001 {65002 65003}, med 20, communities 65001:100`. */
export function formatAttributes(attributes: PathAttributes): string {
  const { origin, asPath, med, localPref, aggregator, originatorId } = attributes;
  const parts = [`origin ${origin}`, `as path ${formatAsPath(asPath) || 'empty'}`];
  if (med !== undefined) parts.push(`med ${med}`);
  if (localPref !== undefined) parts.push(`local pref ${localPref}`);
  if (attributes.atomicAggregate) parts.push('atomic aggregate');
  if (aggregator !== undefined) parts.push(`aggregator ${aggregator.as} ${aggregator.ip}`);
  if (originatorId !== undefined) parts.push(`originator ${originatorId}`);
  pushList(parts, 'clusters', attributes.clusterList);
  pushList(parts, 'communities', attributes.communities.map(formatCommunity));
  const large = attributes.largeCommunities;
  pushList(
    parts,
    'large communities',
    large.map(({ global, local1, local2 }) => `${global}:${local1}:${local2}`),
  );
  pushList(parts, 'extended communities', attributes.extendedCommunities.map(formatHex));
  for (const { code, value } of attributes.unknown) parts.push(`attribute ${code} ${formatHex(value)}`.trimEnd());
  return parts.join(', ');
}

/** `65001 65002 {65003 65004}`: a set stands in braces. */
export function formatAsPath(segments: readonly AsSegment[]): string {
  return segments.map(({ kind, asns }) => (kind === 'set' ? `{${asns.join(' ')}}` : asns.join(' '))).join(' ');
}

/** The two halves of a community · RFC 1997. */
function formatCommunity(community: number): string {
  return `${community >>> 16}:${community & 0xffff}`;
}

function pushList(parts: string[], name: string, items: readonly string[]): void {
  if (items.length > 0) parts.push(`${name} ${items.join(' ')}`);
}
