// Everything the ipam commands look at, read once: pools, blocks, affinities, reservations, settings; for the audit also
// pods and nodes. Blocks are read before pods, so that an address handed out in between belongs to a pod that is seen.
import type { AuditedPod, AuditInput, Block, BlockAffinity } from '#ipam';
import {
  asKubeObject,
  DEFAULT_IPAM_CONFIGURATION,
  type IPAMConfiguration,
  type IPPool,
  type KubeClient,
  type KubeObject,
  type ParseResult,
  parseBlockAffinity,
  parseIPAMBlock,
  parseIPAMConfiguration,
  parseIPPool,
  parseIPReservation,
  parseNode,
  parsePod,
  type ResourceDef,
  resources,
} from '#kube';
import type { Prefix } from '#net';

export interface IpamState {
  readonly pools: readonly IPPool[];
  readonly blocks: readonly Block[];
  readonly affinities: readonly BlockAffinity[];
  readonly reserved: readonly Prefix[];
  readonly configuration: IPAMConfiguration;
  readonly unreadable: readonly { readonly name: string; readonly reason: string }[];
}

interface Listed<T> {
  readonly values: readonly T[];
  readonly unreadable: readonly { readonly name: string; readonly reason: string }[];
}

/** One consistent list of a kind, the objects that cannot be understood apart. */
async function listKind<T>(
  client: KubeClient,
  { resource, parse }: { readonly resource: ResourceDef; readonly parse: (object: KubeObject) => ParseResult<T> },
  signal: AbortSignal,
): Promise<Listed<T>> {
  const { items } = await client.list(resource, { signal });
  const values: T[] = [];
  const unreadable: { name: string; reason: string }[] = [];
  for (const item of items) {
    const object = asKubeObject(item, resource.plural);
    const result = parse(object);
    if (result.ok) values.push(result.value);
    else unreadable.push({ name: `${resource.kind} ${object.metadata.name}`, reason: result.reason });
  }
  return { values, unreadable };
}

export async function readIpamState(client: KubeClient, signal: AbortSignal): Promise<IpamState> {
  const [pools, blocks, affinities, reservations, configurations] = await Promise.all([
    listKind(client, { resource: resources.ipPools, parse: parseIPPool }, signal),
    listKind(client, { resource: resources.ipamBlocks, parse: parseIPAMBlock }, signal),
    listKind(client, { resource: resources.blockAffinities, parse: parseBlockAffinity }, signal),
    listKind(client, { resource: resources.ipReservations, parse: parseIPReservation }, signal),
    listKind(client, { resource: resources.ipamConfigurations, parse: parseIPAMConfiguration }, signal),
  ]);
  return {
    pools: pools.values,
    blocks: blocks.values.filter(({ deleted }) => !deleted),
    affinities: affinities.values,
    reserved: reservations.values.flatMap(({ cidrs }) => cidrs),
    configuration: configurations.values[0] ?? DEFAULT_IPAM_CONFIGURATION,
    unreadable: [pools, blocks, affinities, reservations, configurations].flatMap(({ unreadable }) => unreadable),
  };
}

/** The state with pods and nodes, as the audit wants it. */
export async function readAuditInput(
  client: KubeClient,
  { graceMs, signal }: { readonly graceMs: number; readonly signal: AbortSignal },
): Promise<AuditInput> {
  const state = await readIpamState(client, signal);
  const [pods, nodes] = await Promise.all([
    listKind(client, { resource: resources.pods, parse: parsePod }, signal),
    listKind(client, { resource: resources.nodes, parse: parseNode }, signal),
  ]);
  const { pools, blocks, affinities } = state;
  return {
    pools,
    blocks,
    affinities,
    unreadable: [...state.unreadable, ...pods.unreadable, ...nodes.unreadable],
    pods: pods.values.map(toAudited),
    nodes: new Set(nodes.values.map(({ name }) => name)),
    now: Date.now(),
    graceMs,
  };
}

export function toAudited(pod: {
  readonly namespace: string;
  readonly name: string;
  readonly node: string | undefined;
  readonly hostNetwork: boolean;
  readonly phase: string;
  readonly ips: AuditedPod['ips'];
}): AuditedPod {
  const { namespace, name, node, hostNetwork, phase, ips } = pod;
  return { namespace, name, node, hostNetwork, ips, finished: phase === 'Succeeded' || phase === 'Failed' };
}
