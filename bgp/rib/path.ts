/**
 * A path: one way to reach a prefix, and where we have it from (RFC 4271 §1.1 "route").
 *
 * A value. Attributes are shared by all paths of one UPDATE and never changed; who needs others makes new ones.
 */
import type { Ip, Prefix } from '#net';
import { type AsSegment, EMPTY_ATTRIBUTES, type PathAttributes } from '../wire/attribute/attributes.ts';

/** RFC 1997, RFC 3765: communities every speaker must honour. */
export const Community = {
  noExport: 0xffffff01,
  noAdvertise: 0xffffff02,
  noExportSubconfed: 0xffffff03,
} as const;

/** RFC 4271 §9.1.1: the degree of preference of a route that carries none. */
export const DEFAULT_LOCAL_PREF = 100;

/** Who told us. */
export interface PathSource {
  /** PeerSpec.name; empty for our own routes. */
  readonly name: string;
  readonly kind: 'local' | 'ebgp' | 'ibgp';
  readonly address: Ip | undefined;
  readonly routerId: Ip | undefined;
}

export interface Path {
  readonly prefix: Prefix;
  readonly source: PathSource;
  /** Undefined for our own routes: the speaker's address towards each peer takes its place. */
  readonly nextHop: Ip | undefined;
  readonly attributes: PathAttributes;
}

export const LOCAL_SOURCE: PathSource = { name: '', kind: 'local', address: undefined, routerId: undefined };

/** A route of our own. */
export function localPath(prefix: Prefix, communities: readonly number[]): Path {
  const attributes = communities.length === 0 ? EMPTY_ATTRIBUTES : { ...EMPTY_ATTRIBUTES, communities };
  return { prefix, source: LOCAL_SOURCE, nextHop: undefined, attributes };
}

/** LOCAL_PREF counts inside the AS only · RFC 4271 §5.1.5. */
export function localPrefOf(path: Path): number {
  if (path.source.kind === 'ebgp') return DEFAULT_LOCAL_PREF;
  return path.attributes.localPref ?? DEFAULT_LOCAL_PREF;
}

/** AS_PATH length; a set counts as one · RFC 4271 §9.1.2.2 a. */
export function asPathLength(segments: readonly AsSegment[]): number {
  let length = 0;
  for (const segment of segments) length += segment.kind === 'set' ? 1 : segment.asns.length;
  return length;
}

/** The AS the route was learned from, 0 for routes of our own AS · RFC 4271 §9.1.2.2 c. */
export function neighbourAs(path: Path): number {
  const first = path.attributes.asPath[0];
  return first?.kind === 'sequence' ? (first.asns[0] ?? 0) : 0;
}

/** Whether an AS stands anywhere in the path. */
export function asPathContains(segments: readonly AsSegment[], as: number): boolean {
  return segments.some((segment) => segment.asns.includes(as));
}

/** `65001 65002 {65003 65004}` */
export function formatAsPath(segments: readonly AsSegment[]): string {
  return segments
    .map((segment) => (segment.kind === 'set' ? `{${segment.asns.join(' ')}}` : segment.asns.join(' ')))
    .join(' ');
}

const fingerprints = new WeakMap<PathAttributes, string>();

/** Equal for attributes that say the same; computed once per object. */
export function fingerprint(attributes: PathAttributes): string {
  const known = fingerprints.get(attributes);
  if (known !== undefined) return known;
  const text = JSON.stringify([
    attributes.origin,
    attributes.asPath.map(({ kind, asns }) => [kind, asns]),
    attributes.med ?? -1,
    attributes.localPref ?? -1,
    attributes.atomicAggregate,
    attributes.aggregator === undefined ? 0 : [attributes.aggregator.as, attributes.aggregator.ip],
    attributes.communities,
    attributes.largeCommunities.map(({ global, local1, local2 }) => [global, local1, local2]),
    attributes.extendedCommunities.map((bytes) => [...bytes]),
    attributes.originatorId ?? 0,
    attributes.clusterList,
    attributes.unknown.map(({ flags, code, value }) => [flags, code, [...value]]),
    attributes.partial ?? [],
  ]);
  fingerprints.set(attributes, text);
  return text;
}
