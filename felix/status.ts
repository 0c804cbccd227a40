/** What Felix says about itself: levels read at the moment of asking, for /debug/state, metrics and conditions. */
import type { Prefix } from '#net';

/** A route that is wanted and not programmed, with the reason in words. */
export interface RouteFault {
  readonly prefix: Prefix;
  readonly reason: string;
}

/** One repair of kernel state that someone else had changed. */
export interface Repair {
  readonly what: string;
  /** Milliseconds since the epoch is the reader's business: this is the timers' monotonic clock. */
  readonly atMs: number;
  /** From the first hint (monitor event or audit) to the kernel acknowledging the repair. */
  readonly tookMs: number;
}

export interface FelixStatus {
  readonly inSync: {
    readonly node: boolean;
    readonly blocks: boolean;
    readonly learned: boolean;
    readonly pools: boolean;
    readonly workloads: boolean;
  };
  /** Routes wanted, and routes of ours in the kernel as last read or written. */
  readonly desired: number;
  readonly actual: number;
  readonly workloads: number;
  /** Learned routes with no usable next hop, refused ones, and prefixes a foreign route of equal key holds. */
  readonly unresolved: readonly RouteFault[];
  readonly conflicts: readonly RouteFault[];
  /** Since start: routes put back, changed back, removed because unknown; host ends of pods, nft tables, sysctls put right. */
  readonly drift: {
    readonly added: number;
    readonly changed: number;
    readonly removed: number;
    readonly links: number;
    readonly nat: number;
    readonly sysctls: number;
  };
  /** Since start: route commands issued, full read-backs, failed runs, child processes started again. */
  readonly counters: {
    readonly commands: number;
    readonly readBacks: number;
    readonly failures: number;
    readonly respawns: number;
  };
  readonly lastRepair: Repair | undefined;
  /** Who writes routes, and whether learned ones point at nexthop objects or, where the kernel has none, at gateways. */
  readonly routes: {
    readonly backend: 'iproute2' | 'netlink' | undefined;
    readonly nexthops: { readonly available: boolean; readonly reason: string | undefined };
  };
  readonly nat: { readonly available: boolean; readonly reason: string | undefined };
  /** Why tracked connections of deleted pods are left to time out, once that was found out. */
  readonly connections: { readonly reason: string | undefined };
  readonly lastError: string | undefined;
}
