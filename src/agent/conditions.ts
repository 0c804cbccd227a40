// What kubectl shows about peers: the conditions every agent would write alike, from the same objects. Pure.
//
// BGPPeer and BGPConfiguration: Accepted. An invalid object keeps its last valid form in force; its condition names the
// field. Nothing here depends on the node, so any one agent may write it. Of IPPools the controller says what is true.
import type { ConditionClaim } from '#kube';
import type { ClusterView } from './cluster-view.ts';
import type { KindState } from './cluster.ts';

type Claims = ReadonlyMap<string, ConditionClaim>;

export interface AllClaims {
  readonly peers: Claims;
  readonly bgp: Claims;
}

/** Claims for every object there is, valid or not. `view` must be complete. */
export function conditionClaims(view: ClusterView, kinds: readonly KindState[]): AllClaims {
  const peers = view.peers.map(({ name }) => [name, accepted] as const);
  return {
    peers: new Map([...peers, ...invalidClaims(kinds, 'BGPPeer')]),
    bgp: new Map(invalidClaims(kinds, 'BGPConfiguration')),
  };
}

const accepted: ConditionClaim = {
  type: 'Accepted',
  holds: true,
  reason: 'Accepted',
  message: 'in force on the nodes it selects',
};

function invalidClaims(kinds: readonly KindState[], kind: string): readonly (readonly [string, ConditionClaim])[] {
  const invalid = kinds.find((state) => state.kind === kind)?.invalid ?? [];
  return invalid.map(
    ({ name, reason }) => [name, { type: 'Accepted', holds: false, reason: 'Invalid', message: reason }] as const,
  );
}
