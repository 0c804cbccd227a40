// Pools as IPAM and Felix want them, and what is wrong with them together. Pure.
import { overlaps, prefixFamily, type Family } from '#net';
import type { Pool } from '#ipam';
import { matches, parseSelector } from '#selector';
import { families, type Addresses, type ClusterView, type NodeObject, type PoolObject } from './cluster-view.ts';
import type { Identity } from './identity.ts';

/** IPAM's pools for this node: nodeSelector evaluated; one that is only for requests by name counts as disabled. */
export function ipamPools(pools: readonly PoolObject[], node: NodeObject): readonly Pool[] {
  return pools.map(({ name, cidr, blockSize, disabled, automatic, natOutgoing, nodeSelector }) => ({
    name,
    cidr,
    blockSize,
    disabled: disabled || !automatic,
    natOutgoing,
    selectsNode: selects(nodeSelector, node),
  }));
}

function selects(selector: string, node: NodeObject): boolean {
  try {
    return matches(parseSelector(selector), node.labels);
  } catch {
    return false;
  }
}

/** Families in which a pod gets an address: the node has one, and a pool may serve it. */
export function podFamilies(pools: readonly Pool[], addresses: Addresses): readonly Family[] {
  const served = pools.filter((pool) => !pool.disabled && pool.selectsNode).map((pool) => prefixFamily(pool.cidr));
  return families.filter((family) => addresses[family] !== undefined && served.includes(family));
}

/** Overlapping pools and unreadable selectors, one sentence each. Addresses stay unique all the same: blocks decide. */
export function poolFaults(pools: readonly PoolObject[]): readonly string[] {
  const sorted = pools.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const overlapping = sorted.flatMap((pool, i) =>
    sorted
      .slice(i + 1)
      .filter((other) => overlaps(pool.cidr, other.cidr))
      .map(
        (other) =>
          `IPPool ${other.name} (${other.cidr}) overlaps IPPool ${pool.name} (${pool.cidr}); delete one of them`,
      ),
  );
  const unreadable = sorted.flatMap(({ name, nodeSelector }) => {
    try {
      parseSelector(nodeSelector);
      return [];
    } catch (error) {
      return [
        `IPPool ${name}: nodeSelector: ${error instanceof Error ? error.message : String(error)}; the pool serves no node`,
      ];
    }
  });
  return [...overlapping, ...unreadable];
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
