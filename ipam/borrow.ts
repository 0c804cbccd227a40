// Where an address may come from when no block can be claimed, and what to say when there is none left. [pure]

import { comparePrefix, contains, type Family, type Prefix, PrefixMap } from '#net';
import type { Block } from './block.ts';
import type { IpamContext } from './context.ts';
import { IpamError } from './errors.ts';
import { blockCandidates, type Pool } from './pool.ts';
import { reservedIn } from './reservation.ts';
import type { Revisioned } from './store.ts';

type Owner = Pick<IpamContext, 'node' | 'settings'>;

export interface Lending {
  /** Every block there is. */
  readonly listed: readonly Revisioned<Block>[];
  readonly pools: readonly Pool[];
  /** This node's own blocks. */
  readonly confirmed: ReadonlySet<Prefix>;
  readonly context: Owner;
}

/**
 * Blocks with room, own ones first, those of others only if borrowing is allowed, from a place given by the node's name.
 * A block that overlaps another is left out: one of the two is about to be withdrawn and must stay empty until then.
 * So is a block in this node's name that is not confirmed.
 */
export function lendersOf({ listed, pools, confirmed, context }: Lending): readonly Revisioned<Block>[] {
  const all = new PrefixMap(listed.map(({ value }) => [value.cidr, true]));
  const isAlone = (cidr: Prefix): boolean => countOf(all.covering(cidr)) === 1 && countOf(all.coveredBy(cidr)) === 1;
  const maySupply = (block: Block): boolean =>
    block.affinity === context.node ? confirmed.has(block.cidr) : !context.settings().strictAffinity;
  const lenders = listed
    .filter(({ value }) => maySupply(value) && hasRoom(value) && isAlone(value.cidr))
    .filter(({ value }) => pools.some((pool) => contains(pool.cidr, value.cidr)))
    .toSorted((a, b) => comparePrefix(a.value.cidr, b.value.cidr));
  const start = startOf(pools, context.node);
  const behind = lenders.filter(({ value }) => start === undefined || comparePrefix(value.cidr, start) >= 0);
  const rotated = [...behind, ...lenders.filter((stored) => !behind.includes(stored))];
  return rotated.toSorted((a, b) => Number(confirmed.has(b.value.cidr)) - Number(confirmed.has(a.value.cidr)));
}

/** POOL_EXHAUSTED with every pool, its size and the limit that was met. */
export function explainExhaustion(
  { listed, pools, reason, context }: Omit<Lending, 'confirmed'> & { readonly reason: string },
  family: Family,
): IpamError {
  const described = pools.map((pool) => {
    const blocks = listed.filter(({ value }) => contains(pool.cidr, value.cidr));
    const size = blocks.reduce((sum, { value }) => sum + value.allocations.length, 0);
    const free = blocks.reduce((sum, { value }) => sum + value.unallocated.length, 0);
    const reserved = blocks.reduce((sum, { value }) => sum + reservedFree(value, context), 0);
    const setAside = reserved === 0 ? '' : ` and ${reserved} reserved`;
    const what = `${pool.name} (${pool.cidr}, blocks of /${pool.blockSize})`;
    return `pool ${what} has ${blocks.length} blocks with ${size - free} of ${size} addresses taken${setAside}`;
  });
  const borrowing = context.settings().strictAffinity
    ? 'borrowing is off (strictAffinity)'
    : 'nothing is left to borrow';
  const message = `no IPv${family} address is free for node ${context.node}: ${reason}, ${borrowing}; ${described.join('; ')}`;
  return new IpamError('POOL_EXHAUSTED', message);
}

function reservedFree(block: Block, context: Owner): number {
  const isReserved = reservedIn(block.cidr, context.settings().reserved);
  return isReserved === undefined ? 0 : block.unallocated.filter(isReserved).length;
}

function hasRoom(block: Block): boolean {
  return block.unallocated.length > 0 || block.attributes.some(({ handle }) => handle === undefined);
}

function startOf(pools: readonly Pool[], node: string): Prefix | undefined {
  const [pool] = pools;
  return pool === undefined
    ? undefined
    : (blockCandidates(pool, node, { existing: new PrefixMap() }).next().value ?? undefined);
}

function countOf(entries: Iterable<unknown>): number {
  let count = 0;
  for (const _ of entries) {
    count += 1;
  }
  return count;
}
