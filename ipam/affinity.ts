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

export type AffinityEvent =
  | 'claim' // the node wants the block, which does not exist as far as it knows
  | 'blockIsOurs' // the block names this node as its owner, and overlaps no other
  | 'release' // the block is empty and not needed
  | 'releaseRefused'; // the block came into use before it could be removed

const TRANSITIONS: Readonly<Record<AffinityState, Readonly<Partial<Record<AffinityEvent, AffinityState>>>>> = {
  // Claiming a pending affinity resumes a claim that a crash left behind.
  pending: { claim: 'pending', blockIsOurs: 'confirmed', release: 'pendingDeletion' },
  // Claiming a confirmed one means that its block is gone: it must be made and checked before it counts again.
  confirmed: { claim: 'pending', blockIsOurs: 'confirmed', release: 'pendingDeletion' },
  pendingDeletion: { claim: 'pending', release: 'pendingDeletion', releaseRefused: 'confirmed' },
};

/** A first claim: the node announces that it wants the block. */
export function newAffinity(node: string, cidr: Prefix): BlockAffinity {
  return { node, cidr, state: 'pending', deleted: false };
}

/** The affinity after an event, the same object if nothing changes; undefined when the state has no such event. */
export function stepAffinity(affinity: BlockAffinity, event: AffinityEvent): BlockAffinity | undefined {
  const state = TRANSITIONS[affinity.state][event];
  if (state === undefined) {
    return undefined;
  }
  return state === affinity.state ? affinity : { ...affinity, state };
}
