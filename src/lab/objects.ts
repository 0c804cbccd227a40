// The Kubernetes objects a lab begins with: what kubelets (Nodes) and an administrator (pools, peers) would create. Pure.
import type { LabNode, LabTor, Topology } from './topology.ts';

/** A Kubernetes object as it goes over the wire. */
export interface RawObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec?: unknown;
  readonly status?: unknown;
}

/** Nodes of a rack carry this label; BGPPeers select by it, as a topology label would be used in a data centre. */
const rackLabel = 'topology.manx.network/rack';

function nodeObject(node: LabNode): RawObject {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: node.name,
      labels: { 'kubernetes.io/hostname': node.name, [rackLabel]: `rack${node.rack}` },
    },
    status: { addresses: node.addresses.map((address) => ({ type: 'InternalIP', address })) },
  };
}

/** eBGP from every node of a rack to the rack's ToR. */
function torPeerObject(tor: LabTor): RawObject {
  return {
    apiVersion: 'manx.network/v1',
    kind: 'BGPPeer',
    metadata: { name: tor.name },
    spec: {
      nodeSelector: `${rackLabel} == 'rack${tor.rack}'`,
      peerIP: tor.gateways[0],
      asNumber: tor.as,
      description: `top of rack ${tor.rack}`,
    },
  };
}

function poolObjects(topology: Topology): readonly RawObject[] {
  return topology.pools.map((pool) => ({
    apiVersion: 'manx.network/v1',
    kind: 'IPPool',
    metadata: { name: pool.name },
    spec: { cidr: pool.cidr, blockSize: pool.blockSize },
  }));
}

function bgpConfigurationObject(topology: Topology): RawObject {
  return {
    apiVersion: 'manx.network/v1',
    kind: 'BGPConfiguration',
    metadata: { name: 'default' },
    spec: { asNumber: topology.nodeAs, nodeToNodeMeshEnabled: true },
  };
}

export function podObject(name: string, node: string, annotations: Readonly<Record<string, string>> = {}): RawObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', labels: { app: 'lab' }, annotations },
    spec: { nodeName: node, containers: [{ name: 'main', image: 'lab' }] },
  };
}

/** What a lab's API server holds before the first agent starts. */
export function initialObjects(topology: Topology): readonly RawObject[] {
  return [
    bgpConfigurationObject(topology),
    ...poolObjects(topology),
    ...topology.tors.map(torPeerObject),
    ...topology.nodes.map(nodeObject),
  ];
}

/** A kubeconfig for an API server on loopback that asks for no credentials. */
export function kubeconfigText(port: number): string {
  return `apiVersion: v1
kind: Config
clusters: [{name: lab, cluster: {server: "http://127.0.0.1:${port}"}}]
users: [{name: lab, user: {}}]
contexts: [{name: lab, context: {cluster: lab, user: lab, namespace: default}}]
current-context: lab
`;
}
