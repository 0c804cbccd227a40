// Claiming a block in two phases, so that a crash at any point leaves something the next life can finish or undo:
//
//   1. BlockAffinity `pending`     "this node wants 10.64.0.0/26"; counts as nothing
//   2. IPAMBlock created           the create is the lock: of all who try, one succeeds
//   3. all blocks are listed       one that overlaps ours (another block size) means: withdraw
//   4. BlockAffinity `confirmed`   only now is the block assigned from and advertised
//
// Why step 3 comes after the create: of two nodes that make overlapping blocks of different size at the same time, each
// lists after it created, so at least one sees the other and withdraws. Looking only before would let both through.

import { type Family, overlaps, type Prefix, PrefixMap, prefixFamily } from '#net';
import { KeyedLock } from './abort.ts';
import { advanceAffinity, announceClaim, readAffinity, removeAffinity } from './affinity-record.ts';
import { type Block, freeCount, newBlock } from './block.ts';
import { readBlock, soundBlocks } from './block-record.ts';
import type { BlockTable } from './block-table.ts';
import type { IpamContext } from './context.ts';
import { IpamError, isIpamError } from './errors.ts';
import { blockName } from './names.ts';
import { assertServed, blockCandidates, eligiblePools, type PoolChoice } from './pool.ts';
import { wholeBlocksReserved } from './reservation.ts';
import { retrying } from './retry.ts';
import type { Revisioned } from './store.ts';
import type { WarmBlock } from './warm-block.ts';

/** What became of the wish for one more block. */
export type ClaimOutcome =
  | { readonly kind: 'claimed'; readonly cidr: Prefix }
  | { readonly kind: 'none'; readonly reason: string };

/** Where a block is wanted. */
export interface BlockWish {
  readonly family: Family;
  readonly choice: PoolChoice;
}

/** The block under a name: absent, ours (`isNew` when this very call created it), or somebody else's. */
type Found =
  | { readonly kind: 'absent' }
  | { readonly kind: 'ours'; readonly stored: Revisioned<Block>; readonly isNew: boolean }
  | { readonly kind: 'taken' };

export class BlockClaims {
  readonly #context: IpamContext;
  readonly #table: BlockTable;
  /** Claims and releases of one family go one after the other. */
  readonly #lock = new KeyedLock<Family>();
  /** Blocks of all nodes as last seen: only a hint where not to try, never a proof that a CIDR is free. */
  readonly #existing = new PrefixMap<true>();
  /** Claims and releases whose end nobody saw, and blocks in our name without a confirmed affinity. */
  readonly #unfinished = new Set<Prefix>();

  constructor(context: IpamContext, table: BlockTable) {
    this.#context = context;
    this.#table = table;
  }

  /** Lists the blocks of all nodes; those that are being deleted, or unsound, count only as not to be tried. */
  async listBlocks(signal: AbortSignal): Promise<readonly Revisioned<Block>[]> {
    const listed = await retrying(this.#context, { what: 'list blocks', signal }, () =>
      this.#context.store.blocks.list({ signal }),
    );
    this.#existing.clear();
    for (const { value } of listed) {
      this.#existing.set(value.cidr, true);
    }
    return soundBlocks(
      this.#context,
      listed.filter(({ value }) => !value.deleted),
    );
  }

  /** Claims one more block. Throws NO_POOL when no pool serves this node, INVALID_REQUEST when one asked for does not. */
  async claimOne(wish: BlockWish, signal: AbortSignal): Promise<ClaimOutcome> {
    const { family, choice } = wish;
    assertServed(this.#context.pools(), family, choice);
    return await this.#lock.run(family, async () => {
      const resumed = await this.#finishAll(family, signal);
      if (resumed !== undefined) {
        return { kind: 'claimed', cidr: resumed };
      }
      const reason = this.#whyNoMore(family);
      if (reason !== undefined) {
        return { kind: 'none', reason };
      }
      const cidr = await this.#claimAnywhere(wish, signal);
      return cidr === undefined ? { kind: 'none', reason: 'every block is taken' } : { kind: 'claimed', cidr };
    });
  }

  /** Claims this very block; undefined when somebody else was faster. */
  async claimThis(cidr: Prefix, signal: AbortSignal): Promise<ClaimOutcome | undefined> {
    const family = prefixFamily(cidr);
    return await this.#lock.run(family, async () => {
      await this.#finishAll(family, signal);
      const reason = this.#whyNoMore(family);
      if (reason !== undefined) {
        return { kind: 'none', reason };
      }
      return (await this.#unlessCorrupt(cidr, () => this.#claim(cidr, signal))) ? { kind: 'claimed', cidr } : undefined;
    });
  }

  /** Remembers that a claim or a release of this block may be half done. */
  addUnfinished(cidr: Prefix): void {
    this.#unfinished.add(cidr);
  }

  /** Finishes or undoes what was left half done. */
  async finishUnfinished(signal: AbortSignal): Promise<void> {
    for (const family of [4, 6] as const) {
      await this.#lock.run(family, () => this.#finishAll(family, signal));
    }
  }

  /** Gives an own block back to its pool, unless it is in use after all; true when it is gone. */
  async giveBack(block: WarmBlock, signal: AbortSignal): Promise<boolean> {
    return await this.#lock.run(prefixFamily(block.cidr), () => this.#giveBack(block, signal));
  }

  /** Why this node may not own one more block, undefined when it may. */
  #whyNoMore(family: Family): string | undefined {
    const { autoAllocateBlocks, maxBlocksPerNode: limit } = this.#context.settings();
    if (!autoAllocateBlocks) {
      return `node ${this.#context.node} claims no blocks by itself (autoAllocateBlocks is false)`;
    }
    return limit > 0 && this.#table.own(family).length >= limit
      ? `node ${this.#context.node} owns ${limit} blocks, the most it may`
      : undefined;
  }

  async #claimAnywhere({ family, choice }: BlockWish, signal: AbortSignal): Promise<Prefix | undefined> {
    for (const isListed of [false, true]) {
      if (isListed) {
        await this.listBlocks(signal);
      }
      for (const pool of eligiblePools(this.#context.pools(), family, choice)) {
        const useless = wholeBlocksReserved(this.#context.settings().reserved, pool.blockSize);
        for (const cidr of blockCandidates(pool, this.#context.node, { existing: this.#existing, useless })) {
          if (await this.#unlessCorrupt(cidr, () => this.#claim(cidr, signal))) {
            return cidr;
          }
          if (!isListed) {
            break; // The hints are old: read before trying any further.
          }
        }
      }
    }
    return undefined;
  }

  /** The four steps; true when the block is ours and confirmed. May be run again at any point. */
  async #claim(cidr: Prefix, signal: AbortSignal): Promise<boolean> {
    const context = this.#context;
    this.#unfinished.add(cidr);
    await announceClaim(context, cidr, signal);
    const found = await this.#createOrFind(cidr, signal);
    this.#existing.set(cidr, true);
    if (found.kind !== 'ours') {
      await removeAffinity(context, cidr, signal);
      this.#unfinished.delete(cidr);
      return false;
    }
    const block = this.#table.track(found.stored, !found.isNew);
    if (block.revision !== found.stored.revision) {
      await block.refresh(signal);
    }
    const others = await this.listBlocks(signal);
    const rival = others.find(({ value }) => value.cidr !== cidr && overlaps(value.cidr, cidr));
    if (rival !== undefined) {
      context.log.warn('block overlaps another and is given back', { block: cidr, other: rival.value.cidr });
      await this.#withdraw(block, signal);
      return false;
    }
    if (!(await advanceAffinity(context, cidr, { event: 'blockIsOurs', signal }))) {
      throw new IpamError('CONTENDED', `affinity of ${context.node} to block ${cidr}: removed while it was claimed`);
    }
    this.#unfinished.delete(cidr);
    this.#table.setConfirmed(cidr, true);
    context.log.info('block claimed', { block: cidr, node: context.node });
    return true;
  }

  /** A block that must not be used: removed if empty; if not, it stays in our name, unconfirmed and unused. */
  async #withdraw(block: WarmBlock, signal: AbortSignal): Promise<void> {
    if ((await block.remove((newest) => this.#isUnused(newest), signal)) === 'removed') {
      await removeAffinity(this.#context, block.cidr, signal);
      this.#existing.delete(block.cidr);
    }
    this.#unfinished.delete(block.cidr);
  }

  async #giveBack(block: WarmBlock, signal: AbortSignal): Promise<boolean> {
    const { cidr } = block;
    this.#unfinished.add(cidr);
    await advanceAffinity(this.#context, cidr, { event: 'release', signal });
    this.#table.setConfirmed(cidr, false);
    const removal = await block.remove((newest) => this.#isUnused(newest), signal);
    if (removal === 'removed') {
      await removeAffinity(this.#context, cidr, signal);
      this.#existing.delete(cidr);
      this.#context.log.info('block given back', { block: cidr, node: this.#context.node });
    } else {
      await advanceAffinity(this.#context, cidr, { event: 'releaseRefused', signal });
      this.#table.setConfirmed(cidr, true);
    }
    this.#unfinished.delete(cidr);
    return removal === 'removed';
  }

  async #finishAll(family: Family, signal: AbortSignal): Promise<Prefix | undefined> {
    let claimed: Prefix | undefined;
    for (const cidr of [...this.#unfinished].filter((left) => prefixFamily(left) === family)) {
      if (await this.#unlessCorrupt(cidr, () => this.#finish(cidr, signal))) {
        claimed = cidr;
      }
    }
    return claimed;
  }

  /** An affinity that cannot be understood spoils its own block and no other: a person must look at it. */
  async #unlessCorrupt(cidr: Prefix, work: () => Promise<boolean>): Promise<boolean> {
    try {
      return await work();
    } catch (error) {
      if (!isIpamError(error, 'CORRUPT')) {
        throw error;
      }
      this.#context.log.warn('affinity cannot be understood and is left alone', { block: cidr, err: error });
      this.#existing.set(cidr, true);
      this.#unfinished.delete(cidr);
      return false;
    }
  }

  /** Brings a half-done claim or release to its end from what the store holds now; true when the block is ours after. */
  async #finish(cidr: Prefix, signal: AbortSignal): Promise<boolean> {
    const what = { what: `finish the claim of block ${cidr}`, signal };
    const [affinity, found] = await retrying(this.#context, what, () =>
      Promise.all([readAffinity(this.#context, cidr, signal), this.#find(cidr, signal)]),
    );
    const state = affinity?.value.state;
    if (found.kind === 'ours' && (state === 'confirmed' || state === 'pendingDeletion')) {
      const block = this.#table.track(found.stored, true);
      if (state === 'pendingDeletion') {
        return !(await this.#giveBack(block, signal));
      }
      this.#table.setConfirmed(cidr, true);
      this.#unfinished.delete(cidr);
      return true;
    }
    if (found.kind === 'ours' || (found.kind === 'absent' && state === 'pending' && this.#isInEligiblePool(cidr))) {
      return await this.#claim(cidr, signal);
    }
    await removeAffinity(this.#context, cidr, signal);
    this.#unfinished.delete(cidr);
    return false;
  }

  async #createOrFind(cidr: Prefix, signal: AbortSignal): Promise<Found> {
    const { node, store, now } = this.#context;
    return await retrying(this.#context, { what: `create block ${cidr}`, signal }, async (isFirst) => {
      const found: Found = isFirst ? { kind: 'absent' } : await this.#find(cidr, signal);
      if (found.kind !== 'absent') {
        return found;
      }
      const stored = await store.blocks.create(blockName(cidr), newBlock(cidr, node, now()), { signal });
      return { kind: 'ours', stored, isNew: true };
    });
  }

  async #find(cidr: Prefix, signal: AbortSignal): Promise<Found> {
    const { node, store } = this.#context;
    try {
      const stored = await readBlock(this.#context, cidr, signal);
      if (stored?.value.deleted === true) {
        await store.blocks.remove(blockName(cidr), stored.revision, { signal });
        return { kind: 'absent' };
      }
      if (stored === undefined) {
        return { kind: 'absent' };
      }
      return stored.value.affinity === node ? { kind: 'ours', stored, isNew: false } : { kind: 'taken' };
    } catch (error) {
      if (isIpamError(error, 'CORRUPT')) {
        return { kind: 'taken' };
      }
      throw error;
    }
  }

  #isUnused(block: Block): boolean {
    return freeCount(block, this.#context.settings().cooldownSeconds, this.#context.now()) === block.allocations.length;
  }

  #isInEligiblePool(cidr: Prefix): boolean {
    const pools = eligiblePools(this.#context.pools(), prefixFamily(cidr));
    return pools.some((pool) => overlaps(pool.cidr, cidr));
  }
}
