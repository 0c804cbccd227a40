/**
 * What the codec knows of one path attribute. attribute/table.ts lists all rows; adding an attribute is one file with
 * one row, one line in the table and one vector in its test.
 */
import type { Family, Ip, Prefix } from '#net';
import type { WireContext } from '../context.ts';
import type { Aggregator, AsSegment, LargeCommunity, Origin, PathAttributes } from './attributes.ts';

export type Treatment = 'discard' | 'treat-as-withdraw' | 'reset';

/** Why a value cannot be one of its attribute. */
export interface Fault {
  /** NOTIFICATION subcode of UPDATE Message Error that RFC 4271 §6.3 assigns. */
  readonly subcode: number;
  readonly reason: string;
  /** When this fault is to be treated other than the row's `malformed` says. */
  readonly treatment?: Treatment;
}

/** Routes of one family from MP_REACH_NLRI. */
interface MpReach {
  readonly family: Family;
  readonly nextHop: Ip;
  readonly prefixes: readonly Prefix[];
}

/** Routes of one family from MP_UNREACH_NLRI. */
interface MpUnreach {
  readonly family: Family;
  readonly prefixes: readonly Prefix[];
}

/** The attributes of one UPDATE while they are being read: as they stand on the wire, nothing merged yet. */
export interface AttributeDraft {
  origin?: Origin;
  asPath?: readonly AsSegment[];
  as4Path?: readonly AsSegment[];
  nextHop?: Ip;
  med?: number;
  localPref?: number;
  atomicAggregate?: true;
  aggregator?: Aggregator;
  as4Aggregator?: Aggregator;
  communities?: readonly number[];
  largeCommunities?: readonly LargeCommunity[];
  extendedCommunities?: readonly Uint8Array[];
  originatorId?: Ip;
  clusterList?: readonly Ip[];
  mpReach?: MpReach;
  mpUnreach?: MpUnreach;
  /** A family in MP_REACH_NLRI or MP_UNREACH_NLRI that was not negotiated, as `afi/safi`. */
  ignoredFamily?: string;
}

/** The Optional and Transitive bits an attribute must have · RFC 4271 §4.3. */
export const AttributeClass = {
  wellKnown: 0x40,
  optionalTransitive: 0xc0,
  optionalNonTransitive: 0x80,
} as const;

export interface AttributeRow {
  readonly code: number;
  /** As its RFC spells it. */
  readonly name: string;
  readonly rfc: string;
  readonly class: (typeof AttributeClass)[keyof typeof AttributeClass];
  /** What a wrong value does to the routes it came with · RFC 7606 §7. */
  readonly malformed: Treatment;
  /** Which announcements are void without it · RFC 4271 §5. */
  readonly mandatory: 'with-routes' | 'with-ipv4-nlri' | 'never';
  /** 'internal': not sent to other ASes, and discarded when they send it. */
  readonly scope: 'any' | 'internal';
  /** Reads a value into the draft, or says why it is none. Must copy what it keeps. */
  readonly decode: (value: Uint8Array, draft: AttributeDraft, context: WireContext) => Fault | undefined;
  /** The value to send, undefined when there is none to send; rows whose value is not a path attribute have no encode. */
  readonly encode?: (attributes: PathAttributes, context: WireContext) => Uint8Array | undefined;
}
