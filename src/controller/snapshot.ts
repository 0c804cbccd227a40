// What the collector judges by: the cluster at one moment, as plain values. The Kubernetes kinds end at cluster.ts.
//
// Invariant: an object that exists and cannot be understood is `unreadable`, never absent: absence is what frees addresses.
import type { Block, BlockAffinity } from '#ipam';
import type { Ip } from '#net';

/** A Pod, as far as it proves an address live. */
export interface PodView {
  /** Undefined until it is bound to a node. */
  readonly node: string | undefined;
  /** Succeeded or Failed: no container of it runs, or will again. */
  readonly finished: boolean;
  /** status.podIPs; empty while its kubelet has not reported any. */
  readonly ips: readonly Ip[];
}

/** A Node, as far as it vouches for its pods. */
export interface NodeView {
  /** False while the control plane says that the kubelet does not report (Ready is not True): then podIPs may be old. */
  readonly reporting: boolean;
}

/** An object that is there, one that is there and cannot be understood, or undefined: not there. */
export type Seen<T> = T | 'unreadable' | undefined;

export interface Snapshot {
  /** By object name; none that is unreadable or contradicts itself. */
  readonly blocks: ReadonlyMap<string, Block>;
  /** Names of blocks that exist and are left out above. */
  readonly badBlocks: ReadonlySet<string>;
  /** By object name; none that is unreadable. */
  readonly affinities: ReadonlyMap<string, BlockAffinity>;
  readonly node: (name: string) => Seen<NodeView>;
  /** By `namespace/name`. */
  readonly pod: (key: string) => Seen<PodView>;
}
