// Pools: which of them may serve a node, and in which order a node tries the blocks of one.

import type { Prefix } from '#net';

export interface Pool {
  readonly name: string;
  readonly cidr: Prefix;
  /** Prefix length of the blocks cut from this pool. */
  readonly blockSize: number;
  /** No new addresses; those handed out live on. */
  readonly disabled: boolean;
  readonly natOutgoing: boolean;
  /** The pool's nodeSelector, already evaluated for this node. */
  readonly selectsNode: boolean;
}
