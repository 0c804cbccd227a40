/**
 * What a peer is told about a chosen path, or why nothing (RFC 4271 §5.1, §9.1.3, §9.2; RFC 1997, RFC 4456, RFC 8326).
 *
 * Pure. Split horizon inside the AS but for the clients of a route reflector, own AS and next hop towards another AS, and
 * LOCAL_PREF only inside ours. Attributes are transformed once per attribute set and session, so that equal routes still
 * pack together.
 */
import { type Family, familyOf, type Ip, prefixFamily } from '#net';
import { AttributeCode } from '../iana.ts';
import { AttributeMemo, type RouteChanges } from '../policy/changes.ts';
import { evaluateRoute, type RoutePolicy, saysNothing } from '../policy/policy.ts';
import type { PathAttributes, UnknownAttribute } from '../wire/attribute/attributes.ts';
import { prependAs } from '../wire/attribute/prepend.ts';

import { Community, DEFAULT_LOCAL_PREF, type Path } from './path.ts';

export interface ExportTarget {
  readonly name: string;
  readonly peerType: 'ebgp' | 'ibgp';
  readonly localAs: number;
  readonly families: readonly Family[];
  readonly nextHopSelf: Partial<Readonly<Record<Family, Ip>>>;
  /** Our end of the connection: next hop of its own family when nextHopSelf names none. */
  readonly localAddress: Ip | undefined;
  readonly policy: RoutePolicy;
  /** Another AS without a policy is told nothing · RFC 8212 §3. */
  readonly requirePolicy?: boolean;
  /** `self` and `keep` for all routes; absent = as RFC 4271 §5.1.3 and RFC 4456 §10 have it. */
  readonly nextHop?: 'self' | 'keep' | undefined;
  /** A client of ours is told what other internal peers told us · RFC 4456 §6. */
  readonly client?: boolean;
  /** Put in front of CLUSTER_LIST of what is reflected; absent = nothing is reflected. */
  readonly clusterId?: Ip;
  /** The peer's; a reflected route does not go back to where it came from. */
  readonly peerRouterId?: Ip;
  /** We are about to go away: others shall prefer any other way · RFC 8326 §4. */
  readonly gracefulShutdown?: boolean | undefined;
  readonly memo?: AttributeMemo;
  /** Transformed attributes, by what they were made from; belongs to the session. */
  readonly cache: WeakMap<PathAttributes, PathAttributes>;
}

/** What a peer is told of a route. */
export interface RouteOut {
  readonly nextHop: Ip;
  readonly attributes: PathAttributes;
}

export type ExportVerdict =
  | { readonly route: RouteOut; readonly refused: undefined; readonly rule: string }
  | { readonly route: undefined; readonly refused: string; readonly rule: string | undefined };

const FLAG_TRANSITIVE = 0x40;
const FLAG_PARTIAL = 0x20;

/** Carried inside an AS, never into another: broken copies of these have reset sessions half the world away. */
const NOT_TOWARDS_EBGP: ReadonlySet<number> = new Set([
  AttributeCode.tunnelEncapsulation,
  26, // AIGP, RFC 7311 §3.1
  AttributeCode.entropyLabel,
  AttributeCode.prefixSid,
  AttributeCode.attrSet,
]);

/** RFC 8326 §4.2: inside the AS the preference says so too. */
const LEAVING: RouteChanges = { addCommunities: [Community.gracefulShutdown], localPref: 0 };

/** Judge and transform one best path for one peer. */
export function exportPath(path: Path, target: ExportTarget): ExportVerdict {
  const refused = whyNot(path, target);
  if (refused !== undefined) return { route: undefined, refused, rule: undefined };
  const { prefix, nextHop: learned, attributes, source } = path;
  const facts = { prefix, nextHop: learned, attributes, learnedFrom: source.kind };
  const { action, rule, set } = evaluateRoute(target.policy, facts);
  if (action === 'reject') return { route: undefined, refused: `export policy: ${rule}`, rule };
  const nextHop = nextHopFor(path, target, set?.nextHop ?? target.nextHop);
  if (nextHop === undefined) {
    const reason = `no IPv${prefixFamily(prefix)} next hop of our own for this peer`;
    return { route: undefined, refused: reason, rule: undefined };
  }
  return { route: { nextHop, attributes: attributesFor(path, target, set) }, refused: undefined, rule };
}

function whyNot(path: Path, target: ExportTarget): string | undefined {
  const { prefix, source, attributes } = path;
  if (!target.families.includes(prefixFamily(prefix))) return `IPv${prefixFamily(prefix)} unicast not negotiated`;
  if (source.name === target.name) return 'learned from this peer';
  const { communities } = attributes;
  if (communities.includes(Community.noAdvertise)) return 'NO_ADVERTISE';
  if (target.peerType === 'ibgp') return whyNotInside(path, target);
  if (target.requirePolicy && saysNothing(target.policy)) return 'no export policy for another AS (RFC 8212)';
  if (communities.includes(Community.noExport)) return 'NO_EXPORT';
  return communities.includes(Community.noExportSubconfed) ? 'NO_EXPORT_SUBCONFED' : undefined;
}

function whyNotInside(path: Path, target: ExportTarget): string | undefined {
  if (path.source.kind !== 'ibgp') return undefined;
  if (!isReflected(path, target)) return 'iBGP to iBGP';
  return originatorOf(path) === target.peerRouterId ? 'the peer originated it' : undefined;
}

/** RFC 4456 §6: from a client to all, from another internal peer to clients. */
function isReflected({ source }: Path, target: ExportTarget): boolean {
  if (target.clusterId === undefined || target.peerType !== 'ibgp' || source.kind !== 'ibgp') return false;
  return source.client === true || target.client === true;
}

function originatorOf({ attributes, source }: Path): Ip | undefined {
  return attributes.originatorId ?? source.routerId;
}

/**
 * RFC 4271 §5.1.3: ourselves, except that iBGP keeps a learned next hop unless nextHopSelf says otherwise; a reflector
 * keeps it even then, since it need not be on the way (RFC 4456 §10).
 */
function nextHopFor(path: Path, target: ExportTarget, wanted: RouteChanges['nextHop']): Ip | undefined {
  const family = prefixFamily(path.prefix);
  const { localAddress } = target;
  const local = localAddress !== undefined && familyOf(localAddress) === family ? localAddress : undefined;
  const configured = target.nextHopSelf[family];
  const own = configured ?? local;
  // One of another family (RFC 8950) cannot be passed to a peer that has not agreed to read it.
  const learned = path.nextHop !== undefined && familyOf(path.nextHop) === family ? path.nextHop : undefined;
  if (wanted === 'self') return own;
  if (wanted === 'keep') return learned ?? own;
  if (wanted !== undefined && familyOf(wanted) === family) return wanted;
  if (isReflected(path, target)) return learned ?? own;
  if (configured !== undefined) return configured;
  return target.peerType === 'ibgp' && learned !== undefined ? learned : own;
}

function attributesFor(path: Path, target: ExportTarget, set: RouteChanges | undefined): PathAttributes {
  const memo = target.memo ?? new AttributeMemo();
  let attributes = memo.change(path.attributes, set);
  if (target.gracefulShutdown) attributes = memo.change(attributes, LEAVING);
  if (isReflected(path, target)) {
    const before = attributes;
    attributes = memo.derive(before, path.source, () => reflected(before, path, target));
  }
  const made = towards(attributes, target);
  const med = set?.med;
  if (set === undefined || med === undefined || target.peerType === 'ibgp') return made;
  return memo.derive(made, set, () => ({ ...made, med }));
}

/** RFC 4456 §8. */
function reflected(attributes: PathAttributes, path: Path, { clusterId }: ExportTarget): PathAttributes {
  const clusterList = clusterId === undefined ? attributes.clusterList : [clusterId, ...attributes.clusterList];
  return { ...attributes, originatorId: originatorOf(path), clusterList };
}

function towards(attributes: PathAttributes, target: ExportTarget): PathAttributes {
  const known = target.cache.get(attributes);
  if (known !== undefined) return known;
  const made = target.peerType === 'ebgp' ? towardsEbgp(attributes, target.localAs) : towardsIbgp(attributes);
  target.cache.set(attributes, made);
  return made;
}

/** RFC 4271 §5.1: own AS in front; LOCAL_PREF, a received MED and reflection attributes stay behind. */
function towardsEbgp(attributes: PathAttributes, localAs: number): PathAttributes {
  return {
    ...attributes,
    localPref: undefined,
    med: undefined,
    originatorId: undefined,
    asPath: prependAs(attributes.asPath, [localAs]),
    clusterList: [],
    unknown: passOn(attributes.unknown).filter(({ code }) => !NOT_TOWARDS_EBGP.has(code)),
  };
}

function towardsIbgp(attributes: PathAttributes): PathAttributes {
  return {
    ...attributes,
    localPref: attributes.localPref ?? DEFAULT_LOCAL_PREF,
    unknown: passOn(attributes.unknown),
  };
}

/** RFC 4271 §5: unknown attributes go on only when transitive, marked as not understood by all. */
function passOn(unknown: readonly UnknownAttribute[]): readonly UnknownAttribute[] {
  return unknown
    .filter(({ flags }) => (flags & FLAG_TRANSITIVE) !== 0)
    .map((attribute) => ({ ...attribute, flags: attribute.flags | FLAG_PARTIAL }));
}
