// Pools as IPAM and Felix want them, and what is wrong with them together. Pure.
import { overlaps, prefixFamily, type Family } from '#net';
import type { Pool } from '#ipam';
import { matches, parseSelector } from '#selector';
import { families, type Addresses, type ClusterView, type NodeObject, type PoolObject } from './cluster-view.ts';
import type { Identity } from './identity.ts';

/**
 * IPAM's pools for this node: nodeSelector (readable, the kind checked it) evaluated. Of pools that share addresses the
 * oldest counts; the others give out nothing until it is gone.
 */
export function ipamPools(pools: readonly PoolObject[], node: NodeObject): readonly Pool[] {
  const shadowed = shadowedPools(pools);
  return pools.map(({ name, cidr, blockSize, disabled, automatic, workloads, natOutgoing, nodeSelector }) => ({
    name,
    cidr,
    blockSize,
    disabled: disabled || shadowed.has(name),
    automatic,
    workloads,
    natOutgoing,
    selectsNode: matches(parseSelector(nodeSelector), node.labels),
  }));
}

/** Names of pools that share addresses with an older one (creation time, then name). */
function shadowedPools(pools: readonly PoolObject[]): ReadonlySet<string> {
  const age = ({ createdAt, name }: PoolObject): string => `${createdAt} ${name}`;
  const byAge = pools.toSorted((a, b) => (age(a) < age(b) ? -1 : 1));
  const shadowed = byAge.filter((pool, index) =>
    byAge.slice(0, index).some((older) => overlaps(older.cidr, pool.cidr)),
  );
  return new Set(shadowed.map(({ name }) => name));
}

/** Families in which a pod gets an address: the node has one, and a pool may serve it. */
export function podFamilies(pools: readonly Pool[], addresses: Addresses): readonly Family[] {
  const served = pools
    .filter((pool) => !pool.disabled && pool.automatic && pool.selectsNode)
    .map((pool) => prefixFamily(pool.cidr));
  return families.filter((family) => addresses[family] !== undefined && served.includes(family));
}

/** Pools that share addresses with another, by name, with the sentence that says so. */
function overlapsOf(pools: readonly PoolObject[]): ReadonlyMap<string, string> {
  const sorted = pools.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const pairs = sorted.flatMap((pool) => {
    const other = sorted.find((candidate) => candidate !== pool && overlaps(candidate.cidr, pool.cidr));
    if (other === undefined) return [];
    return [
      [
        pool.name,
        `IPPool ${pool.name} (${pool.cidr}) overlaps IPPool ${other.name} (${other.cidr}); delete one of them`,
      ] as const,
    ];
  });
  return new Map(pairs);
}

/** What is wrong with the pools together, one sentence each. Addresses stay unique all the same: blocks never overlap. */
export function poolFaults(pools: readonly PoolObject[]): readonly string[] {
  return [...overlapsOf(pools).values()];
}

/** What this node may assign from now, from the cluster as it is now. */
export interface PoolView {
  readonly pools: () => readonly Pool[];
  readonly families: () => readonly Family[];
}

/** Joins pools and node; the node's labels are those of its present object, or of the start when it is gone. */
export function createPoolView(cluster: { view(): ClusterView | undefined }, identity: Identity): PoolView {
  const pools = (): readonly Pool[] => {
    const view = cluster.view();
    const node = view?.nodes.find(({ name }) => name === identity.node.name) ?? identity.node;
    return ipamPools(view?.pools ?? [], node);
  };
  return { pools, families: () => podFamilies(pools(), identity.addresses) };
}
