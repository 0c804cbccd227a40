// What this node originates: confirmed blocks whose blackhole is in the kernel, and host routes of addresses it holds in
// blocks of others. Pure.
//
// Invariant: a prefix is told to peers only when packets for it are either delivered or dropped here, never sent back.
import type { OriginatedRoute } from '#bgp';
import { contains, containsIp, hostPrefix, type Ip, type Prefix } from '#net';
import type { PoolObject } from './cluster-view.ts';

export interface AdvertisedInput {
  /** Blocks the allocator has confirmed for this node. */
  readonly confirmed: readonly Prefix[];
  /** Blocks whose blackhole the kernel has acknowledged. */
  readonly programmed: readonly Prefix[];
  /** Addresses of pods that are wired on this node. */
  readonly podAddresses: readonly Ip[];
  readonly pools: readonly PoolObject[];
}

/** The routes to originate, sorted; the order of inputs does not matter. */
export function advertisedRoutes(input: AdvertisedInput): readonly OriginatedRoute[] {
  const programmed = new Set(input.programmed);
  const blocks = input.confirmed.filter((block) => programmed.has(block));
  const borrowed = input.podAddresses
    .filter((ip) => !input.confirmed.some((block) => containsIp(block, ip)))
    .map(hostPrefix);
  const quiet = input.pools.filter((pool) => pool.disableBGPExport);
  const told = [...new Set([...blocks, ...borrowed])].filter(
    (prefix) => !quiet.some((pool) => contains(pool.cidr, prefix)),
  );
  return told.toSorted().map((prefix) => ({ prefix }));
}
