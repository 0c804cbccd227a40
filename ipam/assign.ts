// One address of one family for one handle: from a block this node owns, else from one it claims now, else borrowed from
// another node's block. Every way ends in the same compare-and-swap of one block.

import { contains, type Family, type Ip, nthAddress, type Prefix, prefixFamily } from '#net';
import { SharedWork } from './abort.ts';
import { assign, type Block, ordinalsOf } from './block.ts';
import type { BlockTable } from './block-table.ts';
import { explainExhaustion, lendersOf } from './borrow.ts';
import type { BlockClaims, ClaimOutcome } from './claim.ts';
import type { IpamContext } from './context.ts';
import { IpamError, isIpamError } from './errors.ts';
import { eligiblePools } from './pool.ts';
import type { WarmBlock } from './warm-block.ts';

/** Claims in a row for one request before it gives up: each gave a block that others filled at once. */
const MAX_ROUNDS = 100;

export interface AssignedAddress {
  readonly ip: Ip;
  readonly block: Prefix;
}

export interface AddressRequest {
  readonly handle: string;
  readonly attributes: Readonly<Record<string, string>>;
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
  readonly #claimOnce: Readonly<Record<Family, SharedWork<ClaimOutcome>>>;

  constructor({ context, table, claims }: AssignerParts) {
    this.#context = context;
    this.#table = table;
    this.#claims = claims;
    this.#claimOnce = {
      4: new SharedWork('claim an IPv4 block', (signal) => claims.claimOne(4, signal)),
      6: new SharedWork('claim an IPv6 block', (signal) => claims.claimOne(6, signal)),
    };
  }

  /** Claims one more block; callers of one family share one claim. */
  async claim(family: Family, signal: AbortSignal): Promise<ClaimOutcome> {
    return await this.#claimOnce[family].join(signal);
  }

  /** The address the handle holds already, as the store has it now, or undefined. */
  async heldAddress(handle: string, family: Family, signal: AbortSignal): Promise<AssignedAddress | undefined> {
    for (const block of this.#table.holding(handle)) {
      if (prefixFamily(block.cidr) !== family) {
        continue;
      }
      // Memory may be behind (an operator released the address by hand): an answer without a write needs a read.
      await block.refresh(signal).catch(ignoreGone);
      const [ordinal] = block.isGone ? [] : ordinalsOf(block.block, handle);
      if (ordinal !== undefined) {
        return { ip: nthAddress(block.cidr, ordinal), block: block.cidr };
      }
    }
    return undefined;
  }

  /** Assigns one address durably. Throws NO_POOL, POOL_EXHAUSTED, UNAVAILABLE, CONTENDED or ABORTED. */
  async assign(request: AddressRequest, family: Family, signal: AbortSignal): Promise<AssignedAddress> {
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      for (const block of this.usableBlocks(family)) {
        const assigned = await this.#assignFrom(block, request, signal);
        if (assigned !== undefined) {
          return assigned;
        }
      }
      const outcome = await this.claim(family, signal);
      if (outcome.kind === 'none') {
        return await this.#borrow({ request, family, reason: outcome.reason, signal });
      }
    }
    throw new IpamError('CONTENDED', `${request.handle}: ${MAX_ROUNDS} blocks were full as soon as they were claimed`);
  }

  /** Own blocks that a pool still allows to assign from. */
  usableBlocks(family: Family): readonly WarmBlock[] {
    const pools = eligiblePools(this.#context.pools(), family);
    return this.#table.own(family).filter((block) => pools.some((pool) => contains(pool.cidr, block.cidr)));
  }

  async #assignFrom(
    block: WarmBlock,
    request: AddressRequest,
    signal: AbortSignal,
  ): Promise<AssignedAddress | undefined> {
    const { settings, now } = this.#context;
    const cooldownSeconds = settings().cooldownSeconds;
    const mustBeOwn = this.#table.isOwn(block);
    try {
      const ordinal = await block.apply((value): { block: Block; result: number | undefined } => {
        // The block may have changed hands since memory saw it.
        if (mustBeOwn && value.affinity !== this.#context.node) {
          return { block: value, result: undefined };
        }
        const result = assign(value, { ...request, cooldownSeconds }, now());
        return result.kind === 'assigned'
          ? { block: result.block, result: result.ordinals[0] }
          : { block: value, result: undefined };
      }, signal);
      return ordinal === undefined ? undefined : { ip: nthAddress(block.cidr, ordinal), block: block.cidr };
    } catch (error) {
      ignoreGone(error);
      return undefined;
    }
  }

  async #borrow({ request, family, reason, signal }: Borrowing): Promise<AssignedAddress> {
    const pools = eligiblePools(this.#context.pools(), family);
    const listed = await this.#claims.listBlocks(signal);
    const confirmed = new Set(this.#table.own(family).map((block) => block.cidr));
    for (const stored of lendersOf({ listed, pools, confirmed, context: this.#context })) {
      const block = this.#table.track(stored, false);
      if (block.revision !== stored.revision) {
        await block.refresh(signal).catch(ignoreGone);
      }
      const assigned = block.isOpen ? await this.#assignFrom(block, request, signal) : undefined;
      if (assigned !== undefined) {
        const { log, node } = this.#context;
        log.info('address borrowed', { ip: assigned.ip, block: block.cidr, owner: stored.value.affinity, node });
        return assigned;
      }
    }
    throw explainExhaustion({ listed, pools, reason, context: this.#context }, family);
  }
}

interface Borrowing {
  readonly request: AddressRequest;
  readonly family: Family;
  readonly reason: string;
  readonly signal: AbortSignal;
}

/** A block that is gone offers nothing; any other failure is the caller's. */
function ignoreGone(error: unknown): void {
  if (!isIpamError(error, 'NOT_FOUND')) {
    throw error;
  }
}
