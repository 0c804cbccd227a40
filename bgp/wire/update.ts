import type { Family, Ip, Prefix } from '#net';
import type { PathAttributes } from './attribute/attributes.ts';

/**
 * An attribute error the session survives · RFC 7606 §2. The treatment is already applied to the UpdateMessage that
 * carries it: a discarded attribute is absent, routes treated as withdrawn stand in `withdrawn`. Resets are thrown.
 */
export interface AttributeError {
  /** Attribute type code; 0 when the attribute list itself is broken. */
  readonly attribute: number;
  readonly treatment: 'discard' | 'treat-as-withdraw';
  readonly reason: string;
  /** The NOTIFICATION that RFC 4271 alone would have asked for; for logs and metrics. */
  readonly code: number;
  readonly subcode: number;
  readonly data: Uint8Array;
}

export interface Announcement {
  readonly prefix: Prefix;
  /** From NEXT_HOP or MP_REACH_NLRI; of an IPv6 pair the global one, or the link-local where the global is `::`. */
  readonly nextHop: Ip;
}

/** RFC 4271 §4.3 · apply `withdrawn` before `announced`: a prefix in both is announced. */
export interface UpdateMessage {
  readonly type: 'update';
  /** Withdrawn Routes and MP_UNREACH_NLRI, and what was treated as withdrawn; both families mixed. */
  readonly withdrawn: readonly Prefix[];
  readonly announced: readonly Announcement[];
  /** Of all `announced`; undefined when nothing is. */
  readonly attributes: PathAttributes | undefined;
  /** This message is the End-of-RIB marker of a negotiated family · RFC 4724 §2. */
  readonly endOfRib: Family | undefined;
  readonly errors: readonly AttributeError[];
}
