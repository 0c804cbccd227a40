// A block is a value: a small CIDR of one pool whose addresses are handed out by ordinal (kind IPAMBlock, Calico's field
// names). Nothing here reads a clock or a store; assign and release return a new block or a reason.

import type { Prefix } from '#net';

/** Who holds an address, or who held it while it cools down. */
export interface BlockAttribute {
  /** The holder; undefined while the address cools down after its release. */
  readonly handle: string | undefined;
  readonly attributes: Readonly<Record<string, string>>;
  /** RFC 3339 time of the release; present only while the address cools down. */
  readonly releasedAt?: string;
}

export interface Block {
  readonly cidr: Prefix;
  /** Name of the owning node; undefined when nobody owns the block. */
  readonly affinity: string | undefined;
  /** One entry per ordinal: index into `attributes`, or null when free. */
  readonly allocations: readonly (number | null)[];
  /** Free ordinals, the one that is free longest first. */
  readonly unallocated: readonly number[];
  readonly attributes: readonly BlockAttribute[];
  /** Grows with every change. */
  readonly sequenceNumber: number;
  /** Ordinal (decimal) → sequence number of the change that assigned or released it. */
  readonly sequenceNumberForAllocation: Readonly<Record<string, number>>;
  /** Calico's soft delete: present in the store, absent for every reader. */
  readonly deleted: boolean;
}
