/**
 * The kinds this project talks about: where the API server keeps each of them. One row per kind; nothing else in the project
 * spells an API path.
 */

/** Where one kind is served. */
export interface ResourceDef {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

const GROUP = 'manx.network';

function ours(kind: string, plural: string): ResourceDef {
  return { group: GROUP, version: 'v1', plural, kind, namespaced: false };
}

export const resources = {
  ipPools: ours('IPPool', 'ippools'),
  ipReservations: ours('IPReservation', 'ipreservations'),
  ipamBlocks: ours('IPAMBlock', 'ipamblocks'),
  blockAffinities: ours('BlockAffinity', 'blockaffinities'),
  ipamConfigurations: ours('IPAMConfiguration', 'ipamconfigurations'),
  bgpConfigurations: ours('BGPConfiguration', 'bgpconfigurations'),
  bgpPeers: ours('BGPPeer', 'bgppeers'),
  nodeStatuses: ours('NodeStatus', 'nodestatuses'),
  nodes: { group: '', version: 'v1', plural: 'nodes', kind: 'Node', namespaced: false },
  namespaces: { group: '', version: 'v1', plural: 'namespaces', kind: 'Namespace', namespaced: false },
  pods: { group: '', version: 'v1', plural: 'pods', kind: 'Pod', namespaced: true },
  secrets: { group: '', version: 'v1', plural: 'secrets', kind: 'Secret', namespaced: true },
  leases: { group: 'coordination.k8s.io', version: 'v1', plural: 'leases', kind: 'Lease', namespaced: true },
  events: { group: 'events.k8s.io', version: 'v1', plural: 'events', kind: 'Event', namespaced: true },
} as const satisfies Readonly<Record<string, ResourceDef>>;

export interface ResourceTarget {
  readonly name?: string | undefined;
  /** Of a namespaced kind; without it a list covers every namespace. */
  readonly namespace?: string | undefined;
  readonly subresource?: 'status' | undefined;
}

/** `apiVersion` of the kind's objects: `v1`, `manx.network/v1`. */
export function apiVersionOf(resource: ResourceDef): string {
  return resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;
}

/** The path of a collection, an object or a subresource; every part is percent-encoded. */
export function resourcePath(resource: ResourceDef, target: ResourceTarget = {}): string {
  const root = resource.group === '' ? ['api'] : ['apis', resource.group];
  const namespace = resource.namespaced && target.namespace !== undefined ? ['namespaces', target.namespace] : [];
  const tail = [target.name, target.subresource].filter((part) => part !== undefined);
  return `/${[...root, resource.version, ...namespace, resource.plural, ...tail].map(encodeURIComponent).join('/')}`;
}
