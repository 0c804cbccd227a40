// Pools: which of them may serve a request, and in which order a node tries the blocks of one. Each node starts at a place
// given by its name and walks on from there, so that nodes rarely race for the same block and no coordination is needed.
//
// Invariant: a candidate never shares an address with a block that exists, whatever that block's size. A pool that was
// deleted and made again with another block size leaves blocks of the old size behind, and comparing CIDRs for equality
// would hand their addresses out a second time.

import {
  comparePrefix,
  contains,
  type Family,
  ipToBigInt,
  maxLength,
  nthSubprefix,
  type Prefix,
  prefixAddress,
  prefixFamily,
  prefixLength,
  type PrefixMap,
  subprefixCount,
} from '#net';

export interface Pool {
  readonly name: string;
  readonly cidr: Prefix;
  /** Prefix length of the blocks cut from this pool. */
  readonly blockSize: number;
  /** No new addresses; those handed out live on. */
  readonly disabled: boolean;
  readonly natOutgoing: boolean;
  /** The pool's nodeSelector, already evaluated for this node. */
  readonly selectsNode: boolean;
}

/** The pools that may give new addresses of a family to this node, in the order given. */
export function eligiblePools(pools: readonly Pool[], family: Family): readonly Pool[] {
  return pools.filter((pool) => prefixFamily(pool.cidr) === family && whyNotEligible(pool) === undefined);
}

/** Says for people why no pool is eligible: each pool of the family by name with its reason. */
export function explainNoPool(pools: readonly Pool[], family: Family): string {
  const ofFamily = pools.filter((pool) => prefixFamily(pool.cidr) === family);
  if (ofFamily.length === 0) {
    return `there is no IPv${family} pool, expected at least one`;
  }
  const reasons = ofFamily.map((pool) => `${pool.name} (${pool.cidr}) ${whyNotEligible(pool) ?? 'is eligible'}`);
  return `no IPv${family} pool serves this node: ${reasons.join(', ')}`;
}

function whyNotEligible(pool: Pool): string | undefined {
  if (pool.disabled) {
    return 'is disabled';
  }
  if (!pool.selectsNode) {
    return 'does not select this node';
  }
  const [shortest, longest] = [prefixLength(pool.cidr), maxLength(prefixFamily(pool.cidr))];
  if (!(pool.blockSize >= shortest && pool.blockSize <= longest)) {
    return `has blockSize ${pool.blockSize}, expected ${shortest} to ${longest}`;
  }
  return undefined;
}

/**
 * Block CIDRs of the pool that overlap none of `existing`, starting at a place given by the node's name and wrapping
 * round. Lazy, and bounded by the number of existing blocks, so a huge IPv6 pool costs no more than a small one.
 * `existing` may gain entries while the walk goes on.
 */
export function* blockCandidates(pool: Pool, node: string, existing: PrefixMap<unknown>): Generator<Prefix, void> {
  const count = subprefixCount(pool.cidr, pool.blockSize);
  const start = (hashName(node) * count) >> 64n;
  for (let walked = 0n; walked < count; ) {
    const index = (start + walked) % count;
    const candidate = nthSubprefix(pool.cidr, pool.blockSize, index);
    const [cover] = existing.covering(candidate);
    if (cover !== undefined) {
      // Step over the whole of a larger block, but not past the end of the pool, where the walk wraps round.
      const behind = contains(cover.prefix, pool.cidr) ? count : indexBehind(pool, cover.prefix);
      walked += behind - index;
      continue;
    }
    if (existing.coveredBy(candidate).next().done === true) {
      yield candidate;
    }
    walked += 1n;
  }
}

function indexBehind(pool: Pool, cover: Prefix): bigint {
  const unit = BigInt(maxLength(prefixFamily(pool.cidr)) - pool.blockSize);
  const first = (ipToBigInt(prefixAddress(cover)) - ipToBigInt(prefixAddress(pool.cidr))) >> unit;
  return first + subprefixCount(cover, pool.blockSize);
}

/** FNV-1a, 64 bits, with a final mix because the place is taken from the high bits. */
function hashName(name: string): bigint {
  const mask = (1n << 64n) - 1n;
  let hash = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(name)) {
    hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & mask;
  }
  hash = ((hash ^ (hash >> 33n)) * 0xff51afd7ed558ccdn) & mask;
  hash = ((hash ^ (hash >> 33n)) * 0xc4ceb9fe1a85ec53n) & mask;
  return hash ^ (hash >> 33n);
}

export interface PoolOverlap {
  /** The pool that contains the other, or the first of two equal ones. */
  readonly outer: Pool;
  readonly inner: Pool;
  /** Names both pools and their CIDRs. */
  readonly reason: string;
}

/** Every pair of pools that share addresses, disabled ones included. */
export function overlappingPools(pools: readonly Pool[]): readonly PoolOverlap[] {
  const overlaps: PoolOverlap[] = [];
  let enclosing: Pool[] = [];
  for (const inner of pools.toSorted((a, b) => comparePrefix(a.cidr, b.cidr))) {
    enclosing = enclosing.filter((outer) => contains(outer.cidr, inner.cidr));
    for (const outer of enclosing) {
      const reason = `pool ${inner.name} (${inner.cidr}) overlaps pool ${outer.name} (${outer.cidr})`;
      overlaps.push({ outer, inner, reason });
    }
    enclosing.push(inner);
  }
  return overlaps;
}
