// Addresses of one family for one handle: from blocks this node owns, else from one it claims now, else borrowed from other
// nodes' blocks. Every way ends in the same compare-and-swap of one block. A request for one very address is in specific.ts.

import { contains, type Family, type Ip, nthAddress, type Prefix, prefixFamily } from '#net';
import { SharedWork } from './abort.ts';
import { assign, type Block, ordinalsOf } from './block.ts';
import type { BlockTable } from './block-table.ts';
import { explainExhaustion, lendersOf } from './borrow.ts';
import type { BlockClaims, BlockWish, ClaimOutcome } from './claim.ts';
import type { IpamContext } from './context.ts';
import { IpamError, isIpamError } from './errors.ts';
import { Harvest } from './harvest.ts';
import { assertServed, eligiblePools, type PoolChoice } from './pool.ts';
import { reservedIn } from './reservation.ts';
import type { WarmBlock } from './warm-block.ts';

/** Claims in a row for one request before it gives up: each gave a block that others filled at once. */
const MAX_ROUNDS = 100;

export interface AssignedAddress {
  readonly ip: Ip;
  readonly block: Prefix;
}

export interface Holder {
  readonly handle: string;
  readonly attributes: Readonly<Record<string, string>>;
}

export interface AddressRequest extends Holder, BlockWish {
  /** Addresses the handle shall hold. */
  readonly count: number;
}

export interface AssignerParts {
  readonly context: IpamContext;
  readonly table: BlockTable;
  readonly claims: BlockClaims;
}

export class Assigner {
  readonly #context: IpamContext;
  readonly #table: BlockTable;
  readonly #claims: BlockClaims;
  /** Claims in progress, by what they are for. */
  readonly #claiming = new Map<string, SharedWork<ClaimOutcome>>();

  constructor({ context, table, claims }: AssignerParts) {
    this.#context = context;
    this.#table = table;
    this.#claims = claims;
  }

  /** Claims one more block; callers with the same wish share one claim. */
  async claim(wish: BlockWish, signal: AbortSignal): Promise<ClaimOutcome> {
    const pools = eligiblePools(this.#context.pools(), wish.family, wish.choice);
    const key = [wish.family, ...pools.map(({ name }) => name)].join(' ');
    const known = this.#claiming.get(key);
    const work =
      known ?? new SharedWork(`claim an IPv${wish.family} block`, (joint) => this.#claims.claimOne(wish, joint));
    this.#claiming.set(key, work);
    try {
      return await work.join(signal);
    } finally {
      if (work.isIdle && this.#claiming.get(key) === work) {
        this.#claiming.delete(key);
      }
    }
  }

  /** The addresses of the family the handle holds already, as the store has them now. */
  async heldAddresses(handle: string, family: Family, signal: AbortSignal): Promise<readonly AssignedAddress[]> {
    const held: AssignedAddress[] = [];
    for (const block of this.#table.holding(handle)) {
      if (prefixFamily(block.cidr) !== family) {
        continue;
      }
      // Memory may be behind (an operator released the address by hand): an answer without a write needs a read.
      await block.refresh(signal).catch(ignoreGone);
      for (const ordinal of block.isGone ? [] : ordinalsOf(block.block, handle)) {
        held.push({ ip: nthAddress(block.cidr, ordinal), block: block.cidr });
      }
    }
    return held;
  }

  /** Assigns `count` addresses durably. Throws NO_POOL, INVALID_REQUEST, POOL_EXHAUSTED, UNAVAILABLE, CONTENDED, ABORTED. */
  async assign(
    request: AddressRequest,
    held: readonly AssignedAddress[],
    signal: AbortSignal,
  ): Promise<readonly AssignedAddress[]> {
    const harvest = new Harvest(request.count, held);
    if (harvest.isComplete) {
      return harvest.addresses;
    }
    assertServed(this.#context.pools(), request.family, request.choice);
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      for (const block of this.usableBlocks(request.family, request.choice)) {
        harvest.put(block.cidr, await this.#assignFrom(block, { request, harvest, signal }));
        if (harvest.isComplete) {
          return harvest.addresses;
        }
      }
      const outcome = await this.claim(request, signal);
      if (outcome.kind === 'none') {
        return await this.#borrow({ request, harvest, signal }, outcome.reason);
      }
    }
    throw new IpamError('CONTENDED', `${request.handle}: ${MAX_ROUNDS} blocks were full as soon as they were claimed`);
  }

  /** Own blocks that a pool still allows to assign from. */
  usableBlocks(family: Family, choice: PoolChoice): readonly WarmBlock[] {
    const pools = eligiblePools(this.#context.pools(), family, choice);
    return this.#table.own(family).filter((block) => pools.some((pool) => contains(pool.cidr, block.cidr)));
  }

  /** What the handle holds in the block afterwards, undefined when the block cannot be used any more. */
  async #assignFrom(
    block: WarmBlock,
    { request, harvest, signal }: Gathering,
  ): Promise<readonly AssignedAddress[] | undefined> {
    const { settings, now, node } = this.#context;
    const mustBeOwn = this.#table.isOwn(block);
    const { handle, attributes } = request;
    const count = harvest.wantedIn(block.cidr);
    try {
      const ordinals = await block.apply((value): { block: Block; result: readonly number[] } => {
        // The block may have changed hands since memory saw it.
        if (mustBeOwn && value.affinity !== node) {
          return { block: value, result: ordinalsOf(value, handle) };
        }
        const { cooldownSeconds, reserved } = settings();
        const isReserved = reservedIn(block.cidr, reserved);
        const limits = { cooldownSeconds, ...(isReserved === undefined ? {} : { isReserved }) };
        const result = assign(value, { handle, attributes, count, partial: true, ...limits }, now());
        return result.kind === 'assigned'
          ? { block: result.block, result: result.ordinals }
          : { block: value, result: [] };
      }, signal);
      return ordinals.map((ordinal) => ({ ip: nthAddress(block.cidr, ordinal), block: block.cidr }));
    } catch (error) {
      ignoreGone(error);
      return undefined;
    }
  }

  async #borrow(gathering: Gathering, reason: string): Promise<readonly AssignedAddress[]> {
    const { request, harvest, signal } = gathering;
    const { family } = request;
    const pools = eligiblePools(this.#context.pools(), family, request.choice);
    const listed = await this.#claims.listBlocks(signal);
    const confirmed = new Set(this.#table.own(family).map((block) => block.cidr));
    for (const stored of lendersOf({ listed, pools, confirmed, context: this.#context })) {
      const block = this.#table.track(stored, false);
      if (block.revision !== stored.revision) {
        await block.refresh(signal).catch(ignoreGone);
      }
      const borrowed = block.isOpen ? await this.#assignFrom(block, gathering) : undefined;
      harvest.put(block.cidr, borrowed);
      if (borrowed !== undefined && borrowed.length > 0) {
        const { log, node } = this.#context;
        const ips = borrowed.map(({ ip }) => ip);
        log.info('address borrowed', { ip: ips[0], ips, block: block.cidr, owner: stored.value.affinity, node });
      }
      if (harvest.isComplete) {
        return harvest.addresses;
      }
    }
    throw explainExhaustion({ listed, pools, reason, context: this.#context }, family);
  }
}

interface Gathering {
  readonly request: AddressRequest;
  readonly harvest: Harvest;
  readonly signal: AbortSignal;
}

/** A block that is gone offers nothing; any other failure is the caller's. */
function ignoreGone(error: unknown): void {
  if (!isIpamError(error, 'NOT_FOUND')) {
    throw error;
  }
}
