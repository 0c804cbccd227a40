// What kubectl shows about a pool: may addresses be assigned from it, how many are in use, who holds it. Pure.
//
// Allocatable is False with one reason, the weightiest: Invalid, Terminating, PoolDisabled, CIDROverlap, Exhausted. Of pools
// that share addresses the oldest counts (creation time, then name); the others say CIDROverlap.
import { type Block, holdings } from '#ipam';
import type { ConditionClaim, IPPool } from '#kube';
import { addressCount, contains, containsIp, nthAddress, overlaps, type Prefix } from '#net';
import type { PoolSnapshot } from './cluster.ts';

export interface PoolReport {
  readonly claim: ConditionClaim;
  readonly counts: PoolCounts;
  /** Addresses are in use, or might be in a block that cannot be understood: the object must stay. */
  readonly inUse: boolean;
}

/** What status says in numbers. */
export interface PoolCounts {
  readonly blocks: number;
  /** Addresses held by somebody. */
  readonly addressesInUse: number;
}

const named = 10;

/** By name, every pool there is, valid or not. */
export function reportPools(snapshot: PoolSnapshot): ReadonlyMap<string, PoolReport> {
  const reports = new Map<string, PoolReport>();
  const older = olderRivals(snapshot.pools);
  for (const pool of snapshot.pools) {
    const usage = usageOf(pool, snapshot);
    const unreadable = snapshot.unreadableBlocks;
    const invalid = snapshot.invalidPools.get(pool.name);
    const claim =
      invalid === undefined ? claimOf(pool, usage, { rival: older.get(pool.name), unreadable }) : bad(invalid);
    const counts = { blocks: usage.blocks, addressesInUse: usage.held };
    reports.set(pool.name, { claim, counts, inUse: usage.held > 0 || unreadable.length > 0 });
  }
  for (const [name, reason] of snapshot.invalidPools) {
    // Never valid in our time: its range is unknown, so nobody knows what is in use.
    if (!reports.has(name))
      reports.set(name, { claim: bad(reason), counts: { blocks: 0, addressesInUse: 0 }, inUse: true });
  }
  return reports;
}

const bad = (reason: string): ConditionClaim => no('Invalid', reason);

function no(reason: string, message: string): ConditionClaim {
  return { type: 'Allocatable', holds: false, reason, message };
}

interface Usage {
  readonly blocks: number;
  readonly held: number;
  /** Addresses any request could still get, in blocks that exist or could be made. */
  readonly free: bigint;
  /** Node → addresses it holds; of a holder that names none, the owner of the block. */
  readonly holders: ReadonlyMap<string, number>;
}

function usageOf(pool: IPPool, { blocks, reserved }: PoolSnapshot): Usage {
  const inside = blocks.filter((block) => overlaps(pool.cidr, block.cidr));
  const holders = new Map<string, number>();
  let [held, taken, takenReserved] = [0, 0, 0];
  for (const block of inside) {
    for (const { attribute } of holdings(block)) {
      const holder = attribute.attributes['node'] ?? block.affinity ?? 'nobody';
      holders.set(holder, (holders.get(holder) ?? 0) + 1);
      held += 1;
    }
    taken += block.allocations.length - block.unallocated.length;
    takenReserved += countTakenReserved(block, reserved);
  }
  const setAside = reservedIn(pool.cidr, reserved) - BigInt(takenReserved);
  const free = addressCount(pool.cidr) - BigInt(taken) - setAside;
  return { blocks: inside.length, held, free, holders };
}

function countTakenReserved(block: Block, reserved: readonly Prefix[]): number {
  const near = reserved.filter((range) => overlaps(range, block.cidr));
  if (near.length === 0) return 0;
  const isTakenReserved = (ordinal: number): boolean =>
    block.allocations[ordinal] !== null && near.some((range) => containsIp(range, nthAddress(block.cidr, ordinal)));
  return [...block.allocations.keys()].filter(isTakenReserved).length;
}

/** How many addresses of `cidr` are reserved; ranges inside others count once. */
function reservedIn(cidr: Prefix, reserved: readonly Prefix[]): bigint {
  const near = [...new Set(reserved)].filter((range) => overlaps(range, cidr));
  if (near.some((range) => contains(range, cidr))) return addressCount(cidr);
  const outermost = near.filter((range) => !near.some((other) => other !== range && contains(other, range)));
  return outermost.reduce((sum, range) => sum + addressCount(range), 0n);
}

interface Circumstances {
  readonly rival: IPPool | undefined;
  readonly unreadable: readonly string[];
}

function claimOf(pool: IPPool, usage: Usage, { rival, unreadable }: Circumstances): ConditionClaim {
  if (pool.terminating) return no('Terminating', terminatingText(usage, unreadable));
  if (pool.disabled)
    return no('PoolDisabled', 'spec.disabled: no new addresses are assigned; those in use keep working');
  if (rival !== undefined) {
    const who = `IPPool ${rival.name} (${rival.cidr}), which is older`;
    return no('CIDROverlap', `spec.cidr: ${pool.cidr} overlaps ${who}; delete one of them`);
  }
  if (usage.free <= 0n) {
    const text = `all ${addressCount(pool.cidr)} addresses are in use, reserved or resting; make another pool`;
    return no('Exhausted', text);
  }
  return { type: 'Allocatable', holds: true, reason: 'OK', message: 'addresses are assigned from this pool' };
}

function terminatingText({ held, holders }: Usage, unreadable: readonly string[]): string {
  if (held > 0) {
    const byCount = [...holders].toSorted(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
    const names = byCount.slice(0, named).map(([holder, count]) => `${holder} (${count})`);
    const rest = byCount.length > named ? ` and ${byCount.length - named} more` : '';
    return `is being deleted; ${held} addresses are still in use on ${names.join(', ')}${rest}`;
  }
  const [block] = unreadable;
  if (block === undefined) return 'is being deleted; no address is in use';
  return `is being deleted; IPAMBlock ${block} cannot be understood and may hold addresses of it: repair or delete it`;
}

/** Pool name → the oldest pool that it shares addresses with and that is older than it. */
function olderRivals(pools: readonly IPPool[]): ReadonlyMap<string, IPPool> {
  const byAge = pools.toSorted((a, b) => compareText(a.createdAt, b.createdAt) || compareText(a.name, b.name));
  const rivals = new Map<string, IPPool>();
  for (const [index, pool] of byAge.entries()) {
    const rival = byAge.slice(0, index).find((other) => overlaps(other.cidr, pool.cidr));
    if (rival !== undefined) rivals.set(pool.name, rival);
  }
  return rivals;
}

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
