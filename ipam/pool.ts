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
  tryParsePrefix,
} from '#net';
import { IpamError } from './errors.ts';

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
  /** assignmentMode Automatic: serves requests that did not ask for it by name. */
  readonly automatic: boolean;
  /** allowedUses has Workload: serves pods at all. */
  readonly workloads: boolean;
}

/** Which pools a request may use. */
export interface PoolChoice {
  /** Names or CIDRs of the pools asked for, best first; undefined: every pool that serves this node. */
  readonly requested?: readonly string[] | undefined;
  /** What else must hold of a pool that was not asked for by name; says why it does not, undefined when it does. */
  readonly whyNot?: ((pool: Pool) => string | undefined) | undefined;
}

const ANY: PoolChoice = {};

/**
 * The pools that may give new addresses of a family to this node, in the order given, or asked for. A pool that was asked
 * for by name need not select the node or the namespace (Calico's rule).
 */
export function eligiblePools(pools: readonly Pool[], family: Family, choice = ANY): readonly Pool[] {
  const { requested } = choice;
  if (requested === undefined) {
    return pools.filter((pool) => prefixFamily(pool.cidr) === family && whyNotEligible(pool, choice) === undefined);
  }
  const found = requested.flatMap((reference) => findPool(pools, reference) ?? []);
  return [...new Set(found)].filter(
    (pool) => prefixFamily(pool.cidr) === family && whyNeverEligible(pool) === undefined,
  );
}

/** Throws INVALID_REQUEST for a pool that was asked for and cannot be had, NO_POOL when no pool serves the request. */
export function assertServed(pools: readonly Pool[], family: Family, choice = ANY): void {
  for (const reference of choice.requested ?? []) {
    const pool = findPool(pools, reference);
    const fault =
      pool === undefined
        ? 'does not exist'
        : prefixFamily(pool.cidr) === family
          ? whyNeverEligible(pool)
          : `has ${pool.cidr}, expected an IPv${family} pool`;
    if (fault !== undefined) {
      throw new IpamError('INVALID_REQUEST', `pool ${reference}, which the request asks for, ${fault}`);
    }
  }
  if (eligiblePools(pools, family, choice).length === 0) {
    throw new IpamError('NO_POOL', explainNoPool(pools, family, choice));
  }
}

/** The pool of this name, else the one with this CIDR. */
function findPool(pools: readonly Pool[], reference: string): Pool | undefined {
  const cidr = tryParsePrefix(reference);
  return pools.find(({ name }) => name === reference) ?? pools.find((pool) => pool.cidr === cidr);
}

/** Says for people why no pool is eligible: each pool of the family by name with its reason. */
export function explainNoPool(pools: readonly Pool[], family: Family, choice = ANY): string {
  const ofFamily = pools.filter((pool) => prefixFamily(pool.cidr) === family);
  if (ofFamily.length === 0) {
    return `there is no IPv${family} pool, expected at least one`;
  }
  const reasons = ofFamily.map(
    (pool) => `${pool.name} (${pool.cidr}) ${whyNotEligible(pool, choice) ?? 'is eligible'}`,
  );
  return `no IPv${family} pool serves this node: ${reasons.join(', ')}`;
}

function whyNotEligible(pool: Pool, choice: PoolChoice): string | undefined {
  const never = whyNeverEligible(pool);
  if (never !== undefined) {
    return never;
  }
  if (!pool.automatic) {
    return 'serves only requests by name (assignmentMode Manual)';
  }
  return pool.selectsNode ? choice.whyNot?.(pool) : 'does not select this node';
}

/** Why the pool serves nobody, whoever asks. */
export function whyNeverEligible(pool: Pool): string | undefined {
  if (pool.disabled) {
    return 'is disabled';
  }
  if (!pool.workloads) {
    return 'is not for pods (allowedUses has no Workload)';
  }
  const [shortest, longest] = [prefixLength(pool.cidr), maxLength(prefixFamily(pool.cidr))];
  if (!(pool.blockSize >= shortest && pool.blockSize <= longest)) {
    return `has blockSize ${pool.blockSize}, expected ${shortest} to ${longest}`;
  }
  return undefined;
}

export interface Taken {
  /** Blocks that exist; may gain entries while the walk goes on. */
  readonly existing: PrefixMap<unknown>;
  /** Ranges from which nothing would be handed out, so that a block inside is of no use. */
  readonly useless?: PrefixMap<unknown>;
}

/**
 * Block CIDRs of the pool that are not taken, starting at a place given by the node's name and wrapping round. Lazy, and
 * bounded by the number of entries in `taken`, so a huge IPv6 pool costs no more than a small one.
 */
export function* blockCandidates(pool: Pool, node: string, taken: Taken): Generator<Prefix, void> {
  const { existing, useless } = taken;
  const count = subprefixCount(pool.cidr, pool.blockSize);
  const start = (hashName(node) * count) >> 64n;
  for (let walked = 0n; walked < count; ) {
    const index = (start + walked) % count;
    const candidate = nthSubprefix(pool.cidr, pool.blockSize, index);
    const cover = coverOf(candidate, existing) ?? coverOf(candidate, useless);
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

function coverOf(candidate: Prefix, ranges: PrefixMap<unknown> | undefined): { readonly prefix: Prefix } | undefined {
  return ranges?.covering(candidate).next().value ?? undefined;
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
