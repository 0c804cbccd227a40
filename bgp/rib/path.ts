/**
 * A path: one way to reach a prefix, and where we have it from (RFC 4271 §1.1 "route").
 *
 * A value. Attributes are shared by all paths of one UPDATE and never changed; who needs others makes new ones.
 */
import type { Ip, Prefix } from '#net';
import { type AsSegment, EMPTY_ATTRIBUTES, type PathAttributes } from '../wire/attribute/attributes.ts';

/** RFC 1997, RFC 3765: communities every speaker must honour. */
export const Community = {
  gracefulShutdown: 0xffff0000, // RFC 8326
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
  /** Of our cluster: what it tells is reflected to every other iBGP peer · RFC 4456 §6. */
  readonly client?: boolean;
}

/** A path without its prefix: what all prefixes of one announcement share, as one object. */
export interface Route {
  readonly source: PathSource;
  /** Undefined for our own routes: the speaker's address towards each peer takes its place. */
  readonly nextHop: Ip | undefined;
  readonly attributes: PathAttributes;
}

export interface Path extends Route {
  readonly prefix: Prefix;
}

export const LOCAL_SOURCE: PathSource = { name: '', kind: 'local', address: undefined, routerId: undefined };

/** A route of our own. */
export function localPath(prefix: Prefix, communities: readonly number[]): Path {
  return { prefix, ...localRoute(communities) };
}

/** What a route of our own says, whatever its prefix. */
export function localRoute(communities: readonly number[]): Route {
  const attributes = communities.length === 0 ? EMPTY_ATTRIBUTES : { ...EMPTY_ATTRIBUTES, communities };
  return { source: LOCAL_SOURCE, nextHop: undefined, attributes };
}

/** From another AS only our own import policy can have set one: a received one is discarded · RFC 4271 §5.1.5. */
export function localPrefOf({ attributes }: Route): number {
  return attributes.localPref ?? DEFAULT_LOCAL_PREF;
}

/** AS_PATH length; a set counts as one · RFC 4271 §9.1.2.2 a. */
export function asPathLength(segments: readonly AsSegment[]): number {
  let length = 0;
  for (const segment of segments) length += segment.kind === 'set' ? 1 : segment.asns.length;
  return length;
}

/** The AS the route was learned from, 0 for routes of our own AS · RFC 4271 §9.1.2.2 c. */
export function neighbourAs(path: Route): number {
  const first = path.attributes.asPath[0];
  return first?.kind === 'sequence' ? (first.asns[0] ?? 0) : 0;
}

/** How often an AS stands in the path. */
export function countAs(segments: readonly AsSegment[], as: number): number {
  let count = 0;
  for (const { asns } of segments) for (const other of asns) if (other === as) count += 1;
  return count;
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
