// Which sessions this node should have: nodes × BGPPeers × BGPConfiguration → the speaker's peers. Pure.
//
// Mesh: every other node with an address in a family of ours, over IPv4 where both have it; both sides dial and RFC 4271
// §6.8 settles collisions. Configured: each enabled BGPPeer that names or selects this node. One session per address and
// port: a BGPPeer wins over the mesh, the first by name wins among BGPPeers. Nothing here depends on the order of inputs.
import type { PeerSpec } from '#bgp';
import { familyOf, type Family, type Ip, type Prefix } from '#net';
import { matches, parseSelector } from '#selector';
import { families, type Addresses, type ClusterView, type NodeObject, type PeerObject } from './cluster-view.ts';
import { exportPolicy, importPolicy, type ImportInputs } from './import-policy.ts';
import { addressesOf, asOf } from './node.ts';

export interface PeersInput {
  readonly view: ClusterView;
  readonly self: NodeObject;
  readonly addresses: Addresses;
  readonly ownBlocks: readonly Prefix[];
  readonly originated: readonly Prefix[];
}

export interface DesiredPeers {
  readonly peers: readonly PeerSpec[];
  readonly faults: readonly string[];
}

const holdTimeSec = 90;
const connectRetrySec = 5;

/** Computes the table of peers, sorted by name. */
export function desiredPeers(input: PeersInput): DesiredPeers {
  const faults: string[] = [];
  const bySocket = new Map<string, PeerSpec>();
  for (const spec of [...configuredPeers(input, faults), ...meshPeers(input, faults)]) {
    const socket = `${spec.address} ${spec.port}`;
    const taken = bySocket.get(socket);
    if (taken === undefined) bySocket.set(socket, spec);
    else if (spec.label === 'configured')
      faults.push(`BGPPeer ${spec.name}: ${spec.address} is the peer of BGPPeer ${taken.name} already`);
  }
  const peers = [...bySocket.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return { peers, faults };
}

function importInputs({ view, ownBlocks }: PeersInput): ImportInputs {
  return { pools: view.pools.map((pool) => pool.cidr).toSorted(), ownBlocks: ownBlocks.toSorted() };
}

/** What every session of this node has in common. */
function common({ addresses, originated }: PeersInput) {
  return {
    nextHopSelf: addresses,
    gracefulRestart: true,
    connectRetrySec,
    export: exportPolicy(originated.toSorted()),
  };
}

function meshPeers(input: PeersInput, faults: string[]): readonly PeerSpec[] {
  const { view, self, addresses } = input;
  if (!view.bgp.mesh) return [];
  const others = view.nodes.filter((node) => node.name !== self.name);
  return others.flatMap((node): PeerSpec[] => {
    const theirs = addressesOf(node);
    const { as, fault } = asOf(node, view.bgp.as);
    faults.push(...theirs.faults, ...(fault === undefined ? [] : [fault]));
    const shared = sharedFamilies(addresses, theirs.addresses);
    const [family] = shared;
    const address = family === undefined ? undefined : theirs.addresses[family];
    const localAddress = family === undefined ? undefined : addresses[family];
    if (address === undefined || localAddress === undefined) {
      if (theirs.faults.length === 0)
        faults.push(`node ${node.name}: no address in a family this node has, no session`);
      return [];
    }
    if (address === localAddress) {
      faults.push(`node ${node.name}: has the address ${address} of this node, no session`);
      return [];
    }
    const nextHops = Object.values(theirs.addresses).toSorted();
    return [
      {
        ...common(input),
        name: `mesh/${node.name}`,
        label: 'mesh',
        address,
        localAddress,
        port: view.bgp.listenPort,
        as,
        passive: false,
        holdTimeSec,
        families: shared,
        import: importPolicy(importInputs(input), nextHops),
      },
    ];
  });
}

function sharedFamilies(ours: Addresses, theirs: Addresses): readonly Family[] {
  return families.filter((family) => ours[family] !== undefined && theirs[family] !== undefined);
}

function configuredPeers(input: PeersInput, faults: string[]): readonly PeerSpec[] {
  const { view, self, addresses } = input;
  const mine = view.peers.filter((peer) => peer.enabled && selects(peer, self, faults));
  return mine
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((peer): PeerSpec[] => {
      const localAddress = addresses[familyOf(peer.address)];
      const fault = whyNot(peer, addresses, localAddress);
      if (fault !== undefined || localAddress === undefined) {
        faults.push(`BGPPeer ${peer.name}: ${fault ?? 'no local address'}`);
        return [];
      }
      return [
        {
          ...common(input),
          name: peer.name,
          label: 'configured',
          address: peer.address,
          localAddress,
          port: peer.port,
          as: peer.as,
          passive: peer.passive,
          holdTimeSec: peer.holdTimeSec ?? holdTimeSec,
          ...(peer.keepaliveSec === undefined ? {} : { keepaliveSec: peer.keepaliveSec }),
          families: sharedFamilies(addresses, addresses),
          import: importPolicy(importInputs(input), undefined),
        },
      ];
    });
}

function whyNot(peer: PeerObject, addresses: Addresses, localAddress: Ip | undefined): string | undefined {
  if (Object.values(addresses).includes(peer.address)) return `peerIP ${peer.address} is this node's own address`;
  if (localAddress === undefined)
    return `this node has no IPv${familyOf(peer.address)} address to reach ${peer.address} from`;
  return undefined;
}

function selects(peer: PeerObject, self: NodeObject, faults: string[]): boolean {
  if (peer.node !== undefined) return peer.node === self.name;
  if (peer.nodeSelector === undefined) return true;
  try {
    return matches(parseSelector(peer.nodeSelector), self.labels);
  } catch (error) {
    faults.push(`BGPPeer ${peer.name}: nodeSelector: ${error instanceof Error ? error.message : String(error)}`);
    return false;
  }
}
