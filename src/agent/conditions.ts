// What kubectl shows about pools and peers: the conditions every agent would write alike, from the same objects. Pure.
//
// IPPool: Allocatable. BGPPeer and BGPConfiguration: Accepted. An invalid object keeps its last valid form in force; its
// condition names the field. Nothing here depends on the node, so any one agent may write it.
import type { ConditionClaim } from '#kube';
import type { ClusterView, PoolObject } from './cluster-view.ts';
import type { KindState } from './cluster.ts';
import { overlapsOf } from './pools.ts';

type Claims = ReadonlyMap<string, ConditionClaim>;

export interface AllClaims {
  readonly pools: Claims;
  readonly peers: Claims;
  readonly bgp: Claims;
}

/** Claims for every object there is, valid or not. `view` must be complete. */
export function conditionClaims(view: ClusterView, kinds: readonly KindState[]): AllClaims {
  const overlaps = overlapsOf(view.pools);
  const pools = view.pools.map((pool) => [pool.name, poolClaim(pool, overlaps.get(pool.name))] as const);
  const peers = view.peers.map(({ name }) => [name, accepted] as const);
  return {
    pools: new Map([...pools, ...invalidClaims(kinds, 'IPPool', 'Allocatable')]),
    peers: new Map([...peers, ...invalidClaims(kinds, 'BGPPeer', 'Accepted')]),
    bgp: new Map(invalidClaims(kinds, 'BGPConfiguration', 'Accepted')),
  };
}

const accepted: ConditionClaim = {
  type: 'Accepted',
  holds: true,
  reason: 'Accepted',
  message: 'in force on the nodes it selects',
};

function poolClaim(pool: PoolObject, overlap: string | undefined): ConditionClaim {
  const type = 'Allocatable';
  if (overlap !== undefined) return { type, holds: false, reason: 'CIDROverlap', message: overlap };
  if (pool.disabled)
    return {
      type,
      holds: false,
      reason: 'PoolDisabled',
      message: 'no new addresses are assigned; those in use keep working',
    };
  return { type, holds: true, reason: 'OK', message: 'addresses are assigned from this pool' };
}

function invalidClaims(
  kinds: readonly KindState[],
  kind: string,
  type: string,
): readonly (readonly [string, ConditionClaim])[] {
  const invalid = kinds.find((state) => state.kind === kind)?.invalid ?? [];
  return invalid.map(({ name, reason }) => [name, { type, holds: false, reason: 'Invalid', message: reason }] as const);
}
