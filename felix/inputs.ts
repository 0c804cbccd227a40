/**
 * What Felix is told. Each table is a level, never an edge: setting it again with the same content changes nothing,
 * and every table carries its own in-sync flag. Invariant: until a table is in sync its absences mean nothing, so
 * nothing in the kernel is deleted because of them (DESIGN.md §3).
 */
import type { Ip, Prefix } from '#net';

/** This node, as far as its kernel is concerned. */
export interface NodeInput {
  /** The node's own addresses, at most one per family is used as the source of routes; order is preference. */
  readonly addresses: readonly Ip[];
}

/** A route the BGP speaker chose; several next hops are equal-cost paths. */
export interface LearnedRoute {
  readonly prefix: Prefix;
  readonly nextHops: readonly Ip[];
}

/** Changes to the learned routes, in the speaker's shape (`BestPathBatch` is assignable); no next hops = gone. */
export interface LearnedBatch {
  readonly changes: readonly LearnedRoute[];
  readonly inSync: boolean;
}

/** One address pool: traffic leaving `natOutgoing` pools towards anything outside all pools is masqueraded. */
export interface PoolInput {
  readonly cidr: Prefix;
  readonly natOutgoing: boolean;
}

/** What names one pod interface for good: a new sandbox of the same pod has a new container id. */
export interface WorkloadKey {
  readonly containerId: string;
  /** The interface's name inside the pod, `CNI_IFNAME`. */
  readonly ifname: string;
}

/** One pod interface to be wired or already wired. */
export interface Workload extends WorkloadKey {
  /** Path of the pod's network namespace, `CNI_NETNS`. */
  readonly netns: string;
  /** Name of the host end, from `hostInterfaceName`. */
  readonly hostInterface: string;
  /** The pod's addresses, one or two, /32 and /128 on its interface. */
  readonly addresses: readonly Ip[];
  /** Bytes; absent means the uplink's. */
  readonly mtu?: number;
  readonly pod?: { readonly namespace: string; readonly name: string };
}
