// A block affinity is a node's wish to own a block (kind BlockAffinity; Calico's ipam design). It is a value with three
// states. The IPAMBlock is the authority on who owns it; the affinity makes the claim visible and survivable:
//
//   (absent) → pending → confirmed → pendingDeletion → (absent)
//                 ↑──────────────────────┘  the release was refused: the block is in use after all
//
// Invariant: only a confirmed affinity counts as ownership. A pending or departing block is neither advertised nor
// assigned from, so two nodes that race for one block never route it both.

import type { Prefix } from '#net';

export type AffinityState = 'pending' | 'confirmed' | 'pendingDeletion';

export interface BlockAffinity {
  readonly node: string;
  readonly cidr: Prefix;
  readonly state: AffinityState;
  /** Calico's soft delete: present in the store, absent for every reader. */
  readonly deleted: boolean;
}
