/**
 * What a peer is told about a chosen path, or why nothing (RFC 4271 §5.1, §9.1.3, §9.2; RFC 1997).
 *
 * Pure. Split horizon inside the AS (no reflection), own AS and next hop towards another AS, and LOCAL_PREF only inside
 * ours. Attributes are transformed once per attribute set and session type, so that equal routes still pack together.
 */
import { type Family, familyOf, type Ip, prefixFamily } from '#net';
import { AttributeCode } from '../iana.ts';
import { evaluate, type RoutePolicy } from '../policy/policy.ts';
import type { AsSegment, PathAttributes, UnknownAttribute } from '../wire/attribute/attributes.ts';
import type { RouteOut } from './adj-rib-out.ts';
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
  /** Transformed attributes, by what they were made from; belongs to the session. */
  readonly cache: WeakMap<PathAttributes, PathAttributes>;
}

export type ExportVerdict =
  | { readonly route: RouteOut; readonly refused: undefined; readonly rule: string }
  | { readonly route: undefined; readonly refused: string; readonly rule: string | undefined };

/** RFC 4271 §4.3: an AS_PATH segment counts its ASes in one octet. */
const MAX_SEGMENT_LENGTH = 255;
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

/** Judge and transform one best path for one peer. */
export function exportPath(path: Path, target: ExportTarget): ExportVerdict {
  const refused = whyNot(path, target);
  if (refused !== undefined) return { route: undefined, refused, rule: undefined };
  const nextHop = nextHopFor(path, target);
  if (nextHop === undefined) {
    const reason = `no IPv${prefixFamily(path.prefix)} next hop of our own for this peer`;
    return { route: undefined, refused: reason, rule: undefined };
  }
  const { action, rule } = evaluate(target.policy, path.prefix, path.nextHop);
  if (action === 'reject') return { route: undefined, refused: `export policy: ${rule}`, rule };
  return { route: { nextHop, attributes: attributesFor(path, target) }, refused: undefined, rule };
}

function whyNot({ prefix, source, attributes }: Path, target: ExportTarget): string | undefined {
  if (!target.families.includes(prefixFamily(prefix))) return `IPv${prefixFamily(prefix)} unicast not negotiated`;
  if (source.name === target.name) return 'learned from this peer';
  if (source.kind === 'ibgp' && target.peerType === 'ibgp') return 'iBGP to iBGP';
  const { communities } = attributes;
  if (communities.includes(Community.noAdvertise)) return 'NO_ADVERTISE';
  if (target.peerType === 'ibgp') return undefined;
  if (communities.includes(Community.noExport)) return 'NO_EXPORT';
  return communities.includes(Community.noExportSubconfed) ? 'NO_EXPORT_SUBCONFED' : undefined;
}

/** RFC 4271 §5.1.3: ourselves, except that iBGP keeps a learned next hop unless nextHopSelf says otherwise. */
function nextHopFor(path: Path, target: ExportTarget): Ip | undefined {
  const family = prefixFamily(path.prefix);
  const configured = target.nextHopSelf[family];
  if (configured !== undefined) return configured;
  if (target.peerType === 'ibgp' && path.nextHop !== undefined) return path.nextHop;
  const { localAddress } = target;
  return localAddress !== undefined && familyOf(localAddress) === family ? localAddress : undefined;
}

function attributesFor({ attributes }: Path, target: ExportTarget): PathAttributes {
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
    asPath: prepend(attributes.asPath, localAs),
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

function prepend(asPath: readonly AsSegment[], as: number): readonly AsSegment[] {
  const [first, ...rest] = asPath;
  if (first?.kind !== 'sequence' || first.asns.length >= MAX_SEGMENT_LENGTH) {
    return [{ kind: 'sequence', asns: [as] }, ...asPath];
  }
  return [{ kind: 'sequence', asns: [as, ...first.asns] }, ...rest];
}
