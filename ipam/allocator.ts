// The allocator of one node: durable addresses for handles (one handle per container interface). See README.md for the
// life of an address.
//
// What it promises: an address is handed out only after the store acknowledged it; a handle holds at most one address of
// a family, whatever fails and however often it is asked; a request gets all its families or keeps none.

import { type Family, familyOf, type Ip, nthAddress, type Prefix } from '#net';
import { KeyedLock, orAborted } from './abort.ts';
import { type AssignedAddress, Assigner } from './assign.ts';
import { ordinalsOf, release as releaseInBlock } from './block.ts';
import { BlockTable, type BlockView, type HeldAddress } from './block-table.ts';
import { BlockClaims } from './claim.ts';
import { DEFAULT_SETTINGS, type IpamContext, type IpamSettings } from './context.ts';
import { IpamError, isIpamError } from './errors.ts';
import type { PoolChoice } from './pool.ts';
import { recoverBlocks } from './recover.ts';
import { assignThis } from './specific.ts';
import type { WarmBlock } from './warm-block.ts';

export interface AssignOptions {
  /** Who holds the addresses; asking again with the same handle gives the same addresses. */
  readonly handle: string;
  readonly families: readonly Family[];
  /** Addresses per family; 1 when absent. */
  readonly count?: number;
  /** These very addresses, at most one of each of the families; the others get any. */
  readonly addresses?: readonly Ip[];
  /** Pools to take addresses from, by family; absent: those that serve this node without being asked for. */
  readonly pools?: Readonly<Partial<Record<Family, PoolChoice>>>;
  /** Kept with the address: pod, namespace. The allocator adds `node` and `timestamp`. */
  readonly attributes: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

export interface Assignment {
  readonly handle: string;
  /** `count` per family asked for, in the order of the families. */
  readonly addresses: readonly AssignedAddress[];
}

export interface Allocator {
  /** Reads back from the store what this node holds; to be called before anything else, and again whenever in doubt. */
  recover(signal: AbortSignal): Promise<void>;
  /** Claims a block for each family that runs short, ahead of demand. Throws only if a family has no free address at all. */
  ensureBlocks(families: readonly Family[], signal: AbortSignal): Promise<void>;
  /** Throws IpamError: NOT_READY, INVALID_REQUEST, ADDRESS_TAKEN, NO_POOL, POOL_EXHAUSTED, UNAVAILABLE, CONTENDED, ABORTED. */
  assign(options: AssignOptions): Promise<Assignment>;
  /** Frees every address of the handle and names them; none is not an error. */
  release(handle: string, signal: AbortSignal): Promise<readonly Ip[]>;
  /** Own confirmed blocks (`affine`), and other nodes' blocks in which this node holds addresses. */
  blocks(): readonly BlockView[];
  /** Addresses held by this node's handles. */
  allocations(): readonly HeldAddress[];
  /** Calls back when blocks() gains or loses one, or an owner changes; gives the way to stop that. */
  onBlocksChanged(listener: () => void): () => void;
  /**
   * Gives empty blocks back: those no pool allows any more, and those that are not needed to keep spare addresses. A block
   * goes when it was seen untouched by calls of this function for `emptyForMs` (0 when absent).
   */
  releaseEmptyBlocks(signal: AbortSignal, emptyForMs?: number): Promise<readonly Prefix[]>;
}

export interface AllocatorOptions extends Omit<IpamContext, 'settings'> {
  /** What deviates from the defaults; read anew for every decision. */
  readonly settings?: () => Partial<IpamSettings>;
}

/** Makes the allocator of one node; there must be only one per node name at a time. */
export function createAllocator(options: AllocatorOptions): Allocator {
  return new NodeAllocator({ ...options, settings: () => ({ ...DEFAULT_SETTINGS, ...options.settings?.() }) });
}

const ANY_POOL: PoolChoice = {};

/** Ordinals by block. */
type HeldOrdinals = ReadonlyMap<Prefix, ReadonlySet<number>>;

/** Throws INVALID_REQUEST for what contradicts itself. */
function assertRequest({ handle, families, addresses = [], count = 1 }: AssignOptions): void {
  const fail = (problem: string): never => {
    throw new IpamError('INVALID_REQUEST', `request of ${handle}: ${problem}`);
  };
  if (!Number.isInteger(count) || count < 1) {
    fail(`count is ${count}, expected a whole number from 1`);
  }
  const asked = addresses.map(familyOf);
  const [twice] = asked.filter((family, index) => asked.indexOf(family) !== index);
  if (twice !== undefined) {
    fail(`asks for more than one IPv${twice} address: ${addresses.join(', ')}`);
  }
  const [odd] = asked.filter((family) => !families.includes(family));
  if (odd !== undefined) {
    fail(`asks for an IPv${odd} address, expected families ${families.join(' and ')}`);
  }
  if (count > 1 && addresses.length > 0) {
    fail(`asks for ${addresses.join(', ')} and for ${count} addresses, expected one of the two`);
  }
}

class NodeAllocator implements Allocator {
  readonly #context: IpamContext;
  readonly #table: BlockTable;
  readonly #claims: BlockClaims;
  readonly #assigner: Assigner;
  /** Requests for one handle go one after the other. */
  readonly #handles = new KeyedLock<string>();
  /** Own blocks that were empty and not needed when they were last looked at: since when, and at which version. */
  readonly #needless = new Map<Prefix, { readonly since: number; readonly sequenceNumber: number }>();
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
      return await this.#releaseFrom(this.#table.holding(handle), { handle }, signal);
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

  async releaseEmptyBlocks(signal: AbortSignal, emptyForMs = 0): Promise<readonly Prefix[]> {
    this.#assertRecovered();
    const released: Prefix[] = [];
    // No pools at all more likely means that they are not known yet than that every block is in the wrong place.
    const families: readonly Family[] = this.#context.pools().length === 0 ? [] : [4, 6];
    for (const family of families) {
      for (const block of this.#table.own(family)) {
        if (this.#needlessForMs(block, family) >= emptyForMs && (await this.#claims.giveBack(block, signal))) {
          this.#needless.delete(block.cidr);
          released.push(block.cidr);
        }
      }
    }
    return released;
  }

  async #ensureBlock(family: Family, signal: AbortSignal): Promise<void> {
    const usable = this.#assigner.usableBlocks(family, ANY_POOL).map((block) => this.#table.viewOf(block));
    const free = usable.reduce((sum, view) => sum + view.free, 0);
    if (this.#isSpareEnough(usable)) {
      return;
    }
    const outcome = await this.#assigner.claim({ family, choice: ANY_POOL }, signal);
    if (outcome.kind === 'none' && free === 0) {
      const message = `no IPv${family} block for node ${this.#context.node}: ${outcome.reason}`;
      throw new IpamError('POOL_EXHAUSTED', message);
    }
  }

  /** All families or none: what this call added is given back when another family fails or the caller gave up. */
  async #assignAll(options: AssignOptions): Promise<readonly AssignedAddress[]> {
    const { handle, signal } = options;
    assertRequest(options);
    const before = this.#heldBy(handle);
    const outcomes = await Promise.allSettled(options.families.map((family) => this.#assignOne(options, family)));
    const failure = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failure === undefined && !signal.aborted) {
      return outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? outcome.value : []));
    }
    await this.#takeBack(handle, before);
    throw failure?.reason ?? new IpamError('ABORTED', `assign addresses to ${handle}: given up before it was done`);
  }

  async #assignOne(options: AssignOptions, family: Family): Promise<readonly AssignedAddress[]> {
    const { handle, count = 1, signal } = options;
    const timestamp = new Date(this.#context.now()).toISOString();
    const attributes = { ...options.attributes, node: this.#context.node, timestamp };
    const held = await this.#assigner.heldAddresses(handle, family, signal);
    const ip = options.addresses?.find((address) => familyOf(address) === family);
    if (ip === undefined) {
      const choice = options.pools?.[family] ?? ANY_POOL;
      return await this.#assigner.assign({ handle, attributes, family, choice, count }, held, signal);
    }
    const other = held.find((address) => address.ip !== ip);
    if (other !== undefined) {
      throw new IpamError('INVALID_REQUEST', `${handle} holds ${other.ip} already, and asks for ${ip}`);
    }
    const parts = { context: this.#context, table: this.#table, claims: this.#claims };
    return [held[0] ?? (await assignThis(parts, { handle, attributes, ip }, signal))];
  }

  #heldBy(handle: string): HeldOrdinals {
    const blocks = this.#table.holding(handle);
    return new Map(blocks.map((block) => [block.cidr, new Set(ordinalsOf(block.block, handle))]));
  }

  /** Nobody waits for this any more, so it does not end with the caller's signal; retries bound it. */
  async #takeBack(handle: string, keep: HeldOrdinals): Promise<void> {
    const { signal } = new AbortController();
    try {
      await this.#settle(signal);
      await this.#releaseFrom(this.#table.holding(handle), { handle, keep }, signal);
    } catch (error) {
      // The addresses stay with the handle: its release or its next request finds them.
      this.#context.log.warn('addresses of a failed request are not given back yet', { handle, err: error });
    }
  }

  async #releaseFrom(
    blocks: readonly WarmBlock[],
    { handle, keep }: { readonly handle: string; readonly keep?: HeldOrdinals },
    signal: AbortSignal,
  ): Promise<readonly Ip[]> {
    const { settings, now } = this.#context;
    const releaseFrom = async (block: WarmBlock): Promise<readonly Ip[]> => {
      const kept = keep?.get(block.cidr) ?? new Set();
      const request = { handle, keep: kept, cooldownSeconds: settings().cooldownSeconds };
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

  /** How long the block has been empty and not needed, as far as calls of this function saw; -1 when it is not now. */
  #needlessForMs(block: WarmBlock, family: Family): number {
    const usable = this.#assigner.usableBlocks(family, ANY_POOL);
    const others = usable.filter((other) => other !== block).map((other) => this.#table.viewOf(other));
    const isNeeded = usable.includes(block) && !this.#isSpareEnough(others);
    if (isNeeded || this.#table.viewOf(block).used > 0) {
      this.#needless.delete(block.cidr);
      return -1;
    }
    const now = this.#context.now();
    const { sequenceNumber } = block.block;
    const seen = this.#needless.get(block.cidr);
    if (seen?.sequenceNumber === sequenceNumber) {
      return now - seen.since;
    }
    this.#needless.set(block.cidr, { since: now, sequenceNumber });
    return 0;
  }

  /** Whether these blocks have the addresses that are to be kept free ahead of need. */
  #isSpareEnough(views: readonly BlockView[]): boolean {
    const [first] = views;
    const size = first === undefined ? 0 : first.free + first.used + first.reserved;
    const free = views.reduce((sum, view) => sum + view.free, 0);
    return free > 0 && free >= Math.min(this.#context.settings().spareAddresses, size / 4);
  }

  #assertRecovered(): void {
    if (!this.#isRecovered) {
      throw new IpamError('NOT_READY', `ipam of node ${this.#context.node}: recover() has not finished`);
    }
  }
}
