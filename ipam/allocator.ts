// The allocator of one node: durable addresses for handles (one handle per container interface). See README.md for the
// life of an address.
//
// What it promises: an address is handed out only after the store acknowledged it; a handle holds at most one address of
// a family, whatever fails and however often it is asked; a request gets all its families or keeps none.

import { type Family, type Ip, nthAddress, type Prefix } from '#net';
import { KeyedLock, orAborted } from './abort.ts';
import { type AssignedAddress, Assigner } from './assign.ts';
import { release as releaseInBlock } from './block.ts';
import { BlockTable, type BlockView, type HeldAddress } from './block-table.ts';
import { BlockClaims } from './claim.ts';
import { DEFAULT_SETTINGS, type IpamContext, type IpamSettings } from './context.ts';
import { IpamError, isIpamError } from './errors.ts';
import { recoverBlocks } from './recover.ts';
import type { WarmBlock } from './warm-block.ts';

export interface AssignOptions {
  /** Who holds the addresses; asking again with the same handle gives the same addresses. */
  readonly handle: string;
  readonly families: readonly Family[];
  /** Kept with the address: pod, namespace. The allocator adds `node` and `timestamp`. */
  readonly attributes: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

export interface Assignment {
  readonly handle: string;
  /** One per family asked for, in that order. */
  readonly addresses: readonly AssignedAddress[];
}

export interface Allocator {
  /** Reads back from the store what this node holds; to be called before anything else, and again whenever in doubt. */
  recover(signal: AbortSignal): Promise<void>;
  /** Claims a block for each family that runs short, ahead of demand. Throws only if a family has no free address at all. */
  ensureBlocks(families: readonly Family[], signal: AbortSignal): Promise<void>;
  /** Throws IpamError: NOT_READY, NO_POOL, POOL_EXHAUSTED, UNAVAILABLE, CONTENDED, ABORTED. */
  assign(options: AssignOptions): Promise<Assignment>;
  /** Frees every address of the handle and names them; none is not an error. */
  release(handle: string, signal: AbortSignal): Promise<readonly Ip[]>;
  /** Own confirmed blocks (`affine`), and other nodes' blocks in which this node holds addresses. */
  blocks(): readonly BlockView[];
  /** Addresses held by this node's handles. */
  allocations(): readonly HeldAddress[];
  /** Calls back when blocks() gains or loses one, or an owner changes; gives the way to stop that. */
  onBlocksChanged(listener: () => void): () => void;
  /** Gives empty blocks back: those no pool allows any more, and those beyond one with room per family. */
  releaseEmptyBlocks(signal: AbortSignal): Promise<readonly Prefix[]>;
}

export interface AllocatorOptions extends Omit<IpamContext, 'settings'> {
  /** What deviates from the defaults; read anew for every decision. */
  readonly settings?: () => Partial<IpamSettings>;
}

/** Makes the allocator of one node; there must be only one per node name at a time. */
export function createAllocator(options: AllocatorOptions): Allocator {
  return new NodeAllocator({ ...options, settings: () => ({ ...DEFAULT_SETTINGS, ...options.settings?.() }) });
}

class NodeAllocator implements Allocator {
  readonly #context: IpamContext;
  readonly #table: BlockTable;
  readonly #claims: BlockClaims;
  readonly #assigner: Assigner;
  /** Requests for one handle go one after the other. */
  readonly #handles = new KeyedLock<string>();
  #isRecovered = false;

  constructor(context: IpamContext) {
    this.#context = context;
    this.#table = new BlockTable(context);
    this.#claims = new BlockClaims(context, this.#table);
    this.#assigner = new Assigner({ context, table: this.#table, claims: this.#claims });
  }

  async recover(signal: AbortSignal): Promise<void> {
    await recoverBlocks({ context: this.#context, table: this.#table, claims: this.#claims }, signal);
    this.#isRecovered = true;
  }

  async ensureBlocks(families: readonly Family[], signal: AbortSignal): Promise<void> {
    this.#assertRecovered();
    await Promise.all(families.map((family) => this.#ensureBlock(family, signal)));
  }

  async assign(options: AssignOptions): Promise<Assignment> {
    this.#assertRecovered();
    const { handle, signal } = options;
    const work = this.#handles.run(handle, async () => {
      await this.#settle(signal);
      const addresses = await this.#assignAll(options);
      return { handle, addresses };
    });
    return await orAborted(work, `assign addresses to ${handle}`, signal);
  }

  async release(handle: string, signal: AbortSignal): Promise<readonly Ip[]> {
    this.#assertRecovered();
    const work = this.#handles.run(handle, async () => {
      await this.#settle(signal);
      return await this.#releaseFrom(this.#table.holding(handle), handle, signal);
    });
    return await orAborted(work, `release the addresses of ${handle}`, signal);
  }

  blocks(): readonly BlockView[] {
    return this.#table.views();
  }

  allocations(): readonly HeldAddress[] {
    return this.#table.held();
  }

  onBlocksChanged(listener: () => void): () => void {
    return this.#table.onChanged(listener);
  }

  async releaseEmptyBlocks(signal: AbortSignal): Promise<readonly Prefix[]> {
    this.#assertRecovered();
    const released: Prefix[] = [];
    // No pools at all more likely means that they are not known yet than that every block is in the wrong place.
    const families: readonly Family[] = this.#context.pools().length === 0 ? [] : [4, 6];
    for (const family of families) {
      for (const block of this.#table.own(family)) {
        if (this.#isNeedless(block, family) && (await this.#claims.giveBack(block, signal))) {
          released.push(block.cidr);
        }
      }
    }
    return released;
  }

  async #ensureBlock(family: Family, signal: AbortSignal): Promise<void> {
    const usable = this.#assigner.usableBlocks(family).map((block) => this.#table.viewOf(block));
    const free = usable.reduce((sum, view) => sum + view.free, 0);
    const size = usable[0] === undefined ? 0 : usable[0].free + usable[0].used;
    if (free > 0 && free >= Math.min(this.#context.settings().spareAddresses, size / 4)) {
      return;
    }
    const outcome = await this.#assigner.claim(family, signal);
    if (outcome.kind === 'none' && free === 0) {
      const message = `no IPv${family} block for node ${this.#context.node}: ${outcome.reason}`;
      throw new IpamError('POOL_EXHAUSTED', message);
    }
  }

  /** All families or none: what this call added is given back when another family fails or the caller gave up. */
  async #assignAll(options: AssignOptions): Promise<readonly AssignedAddress[]> {
    const { handle, signal } = options;
    const before = new Set(this.#table.holding(handle));
    const outcomes = await Promise.allSettled(options.families.map((family) => this.#assignOne(options, family)));
    const failure = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failure === undefined && !signal.aborted) {
      return outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    }
    await this.#takeBack(handle, before);
    throw failure?.reason ?? new IpamError('ABORTED', `assign addresses to ${handle}: given up before it was done`);
  }

  async #assignOne(options: AssignOptions, family: Family): Promise<AssignedAddress> {
    const { handle, signal } = options;
    const held = await this.#assigner.heldAddress(handle, family, signal);
    if (held !== undefined) {
      return held;
    }
    const timestamp = new Date(this.#context.now()).toISOString();
    const attributes = { ...options.attributes, node: this.#context.node, timestamp };
    return await this.#assigner.assign({ handle, attributes }, family, signal);
  }

  /** Nobody waits for this any more, so it does not end with the caller's signal; retries bound it. */
  async #takeBack(handle: string, keep: ReadonlySet<WarmBlock>): Promise<void> {
    const { signal } = new AbortController();
    try {
      await this.#settle(signal);
      const added = this.#table.holding(handle).filter((block) => !keep.has(block));
      await this.#releaseFrom(added, handle, signal);
    } catch (error) {
      // The addresses stay with the handle: its release or its next request finds them.
      this.#context.log.warn('addresses of a failed request are not given back yet', { handle, err: error });
    }
  }

  async #releaseFrom(blocks: readonly WarmBlock[], handle: string, signal: AbortSignal): Promise<readonly Ip[]> {
    const { settings, now } = this.#context;
    const request = { handle, cooldownSeconds: settings().cooldownSeconds };
    const releaseFrom = async (block: WarmBlock): Promise<readonly Ip[]> => {
      const ordinals = await block.apply((value) => {
        const result = releaseInBlock(value, request, now());
        return result.kind === 'released'
          ? { block: result.block, result: result.ordinals }
          : { block: value, result: [] };
      }, signal);
      return ordinals.map((ordinal) => nthAddress(block.cidr, ordinal));
    };
    const outcomes = await Promise.allSettled(blocks.map(releaseFrom));
    const failure = outcomes.find(
      // A block that is gone took the address with it.
      (outcome) => outcome.status === 'rejected' && !isIpamError(outcome.reason, 'NOT_FOUND'),
    );
    if (failure?.status === 'rejected') {
      throw failure.reason;
    }
    return outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? outcome.value : []));
  }

  /** While a write without an answer may still happen, memory cannot say what a handle does not hold. */
  async #settle(signal: AbortSignal): Promise<void> {
    const settleOne = async (block: WarmBlock): Promise<void> => {
      try {
        await block.settle(signal);
      } catch (error) {
        if (!isIpamError(error, 'NOT_FOUND')) {
          throw error;
        }
      }
    };
    await Promise.all(this.#table.uncertain().map(settleOne));
  }

  #isNeedless(block: WarmBlock, family: Family): boolean {
    const view = this.#table.viewOf(block);
    const usable = this.#assigner.usableBlocks(family);
    const others = usable.filter((other) => other !== block && this.#table.viewOf(other).free > 0);
    return view.used === 0 && (!usable.includes(block) || others.length > 0);
  }

  #assertRecovered(): void {
    if (!this.#isRecovered) {
      throw new IpamError('NOT_READY', `ipam of node ${this.#context.node}: recover() has not finished`);
    }
  }
}
