/**
 * All path attributes the codec knows, one row each, in ascending order of their code as RFC 4271 §5 wants them sent.
 * Every other code is opaque (attribute/list.ts): carried when optional and transitive, dropped when not, and a session
 * error when it claims to be well-known. Tunnel encapsulation (23), entropy label (28), prefix SID (40) and ATTR_SET
 * (128) are opaque on purpose: parsing them has taken other speakers down, and nothing here needs them.
 */
import { AttributeCode } from '../../iana.ts';
import { aggregator } from './aggregator.ts';
import { as4Aggregator } from './as4-aggregator.ts';
import { as4Path } from './as4-path.ts';
import { asPath } from './as-path.ts';
import { atomicAggregate } from './atomic-aggregate.ts';
import { clusterList } from './cluster-list.ts';
import { communities } from './communities.ts';
import { extendedCommunities } from './extended-communities.ts';
import { largeCommunities } from './large-communities.ts';
import { localPref } from './local-pref.ts';
import { med } from './med.ts';
import { mpReach } from './mp-reach.ts';
import { mpUnreach } from './mp-unreach.ts';
import { nextHop } from './next-hop.ts';
import { origin } from './origin.ts';
import { originatorId } from './originator-id.ts';
import type { AttributeRow } from './row.ts';

export const ATTRIBUTE_TABLE: readonly AttributeRow[] = [
  origin, // 1
  asPath, // 2
  nextHop, // 3
  med, // 4
  localPref, // 5
  atomicAggregate, // 6
  aggregator, // 7
  communities, // 8
  originatorId, // 9
  clusterList, // 10
  mpReach, // 14
  mpUnreach, // 15
  extendedCommunities, // 16
  as4Path, // 17
  as4Aggregator, // 18
  largeCommunities, // 32
];

/** Opaque attributes that other ASes must not get from us: their damage is known to travel (see docs/rfc.md). */
export const KEPT_INSIDE: ReadonlySet<number> = new Set([
  AttributeCode.tunnelEncapsulation,
  AttributeCode.entropyLabel,
  AttributeCode.prefixSid,
  AttributeCode.attrSet,
]);

/** Indexed by code; a lookup per attribute per UPDATE. */
const ROWS = Array.from({ length: 256 }, (_, code) => ATTRIBUTE_TABLE.find((row) => row.code === code));

/** The row of an attribute, undefined when we do not know it. */
export function attributeRow(code: number): AttributeRow | undefined {
  return ROWS[code];
}

/** The attribute's name for people. */
export function attributeName(code: number): string {
  return attributeRow(code)?.name ?? `attribute ${code}`;
}
