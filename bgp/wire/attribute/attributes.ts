/**
 * The path attributes of a route as the rest of the speaker sees them: merged (AS4_PATH, AS4_AGGREGATOR), validated, and
 * without next hop and NLRI, which belong to the announcement.
 */
import type { Ip } from '#net';

/** One segment of an AS_PATH · RFC 4271 §4.3(b) · at least one AS, each 1–4294967295. No confederations. */
export interface AsSegment {
  readonly kind: 'sequence' | 'set';
  readonly asns: readonly number[];
}

export type Origin = 'igp' | 'egp' | 'incomplete';

export interface Aggregator {
  readonly as: number;
  readonly ip: Ip;
}

/** RFC 8092 §3 · three 32-bit numbers. */
export interface LargeCommunity {
  readonly global: number;
  readonly local1: number;
  readonly local2: number;
}

/** An optional transitive attribute we carry without knowing it · RFC 4271 §5 · flags include the Partial bit. */
export interface UnknownAttribute {
  readonly flags: number;
  readonly code: number;
  readonly value: Uint8Array;
}

export interface PathAttributes {
  readonly origin: Origin;
  readonly asPath: readonly AsSegment[];
  readonly med?: number | undefined;
  readonly localPref?: number | undefined;
  readonly atomicAggregate: boolean;
  readonly aggregator?: Aggregator | undefined;
  /** RFC 1997 · 32-bit numbers, in wire order. */
  readonly communities: readonly number[];
  readonly largeCommunities: readonly LargeCommunity[];
  /** RFC 4360 · opaque, eight bytes each. */
  readonly extendedCommunities: readonly Uint8Array[];
  readonly originatorId?: Ip | undefined;
  readonly clusterList: readonly Ip[];
  readonly unknown: readonly UnknownAttribute[];
  /** Codes of the known optional transitive attributes above that came with the Partial bit · RFC 4271 §4.3(b). */
  readonly partial?: readonly number[] | undefined;
}

/** The attributes of a route that says nothing beyond what is mandatory. */
export const EMPTY_ATTRIBUTES: PathAttributes = {
  origin: 'igp',
  asPath: [],
  med: undefined,
  localPref: undefined,
  atomicAggregate: false,
  aggregator: undefined,
  communities: [],
  largeCommunities: [],
  extendedCommunities: [],
  originatorId: undefined,
  clusterList: [],
  unknown: [],
  partial: undefined,
};
