// The blocks this node keeps warm: the ones it owns, and the ones of other nodes in which it holds addresses. The one owner
// of this knowledge; claims, releases and recovery go through it.

import { comparePrefix, containsIp, type Family, familyOf, type Ip, nthAddress, type Prefix, prefixFamily } from '#net';
import { type Block, freeCount, holdings, reservedCount } from './block.ts';
import type { IpamContext } from './context.ts';
import { reservedIn } from './reservation.ts';
import type { Revisioned } from './store.ts';
import { WarmBlock } from './warm-block.ts';

export interface BlockView {
  readonly cidr: Prefix;
  /** Addresses that cannot be handed out now: held, or cooling down. */
  readonly used: number;
  /** Addresses any request may get now. */
  readonly free: number;
  /** Free addresses that are set aside: only a request for the very address gets one. */
  readonly reserved: number;
  /** True when this node owns the block, confirmed; false when it only holds borrowed addresses in it. */
  readonly affine: boolean;
}

export interface HeldAddress {
  readonly handle: string;
  readonly ip: Ip;
  readonly block: Prefix;
  readonly attributes: Readonly<Record<string, string>>;
}

export class BlockTable {
  readonly #context: IpamContext;
  readonly #blocks = new Map<Prefix, WarmBlock>();
  readonly #confirmed = new Set<Prefix>();
  readonly #listeners = new Set<() => void>();
  #announced = '';

  constructor(context: IpamContext) {
    this.#context = context;
  }

  /** Keeps a block that was read or written warm; the one known already stays as it is. */
  track(stored: Revisioned<Block>, uncertain: boolean): WarmBlock {
    const known = this.#blocks.get(stored.value.cidr);
    if (known?.isGone === false) {
      return known;
    }
    const onChange = (changed: WarmBlock): void => this.#onChange(changed);
    const block = new WarmBlock({ context: this.#context, stored, uncertain, onChange });
    this.#blocks.set(block.cidr, block);
    return block;
  }

  /** From now on (or no longer) the affinity of this block is known to be confirmed. */
  setConfirmed(cidr: Prefix, isConfirmed: boolean): void {
    if (isConfirmed) {
      this.#confirmed.add(cidr);
    } else {
      this.#confirmed.delete(cidr);
    }
    this.#announce();
  }

  get(cidr: Prefix): WarmBlock | undefined {
    return this.#blocks.get(cidr);
  }

  isOwn(block: WarmBlock): boolean {
    return !block.isGone && this.#confirmed.has(block.cidr) && block.block.affinity === this.#context.node;
  }

  /** Own, confirmed blocks of a family that take changes, in address order. */
  own(family: Family): readonly WarmBlock[] {
    return [...this.#blocks.values()]
      .filter((block) => block.isOpen && this.isOwn(block) && prefixFamily(block.cidr) === family)
      .toSorted((a, b) => comparePrefix(a.cidr, b.cidr));
  }

  /** The own, confirmed block around an address, if any. */
  ownAround(ip: Ip): WarmBlock | undefined {
    return this.own(familyOf(ip)).find((block) => containsIp(block.cidr, ip));
  }

  /** Blocks of which a write may still happen that nobody saw answered. */
  uncertain(): readonly WarmBlock[] {
    return [...this.#blocks.values()].filter((block) => block.isUncertain);
  }

  /** Blocks in which the handle holds addresses. */
  holding(handle: string): readonly WarmBlock[] {
    return [...this.#blocks.values()].filter((block) =>
      block.block.attributes.some((attribute) => attribute.handle === handle),
    );
  }

  views(): readonly BlockView[] {
    const views: BlockView[] = [];
    for (const block of this.#blocks.values()) {
      if (this.isOwn(block) || this.#heldIn(block).next().done === false) {
        views.push(this.viewOf(block));
      }
    }
    return views.toSorted((a, b) => comparePrefix(a.cidr, b.cidr));
  }

  viewOf(block: WarmBlock): BlockView {
    const { cooldownSeconds: seconds, reserved: ranges } = this.#context.settings();
    const now = this.#context.now();
    const unheld = freeCount(block.block, seconds, now);
    const isReserved = reservedIn(block.cidr, ranges);
    const reserved = isReserved === undefined ? 0 : reservedCount(block.block, isReserved, { seconds, now });
    const used = block.block.allocations.length - unheld;
    return { cidr: block.cidr, used, free: unheld - reserved, reserved, affine: this.isOwn(block) };
  }

  /** Addresses held by this node's handles, own blocks and borrowed ones. */
  held(): readonly HeldAddress[] {
    return [...this.#blocks.values()].flatMap((block) => [...this.#heldIn(block)]);
  }

  /** Calls back whenever the set of blocks in views(), or who owns them, has changed. */
  onChanged(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  *#heldIn(warm: WarmBlock): Generator<HeldAddress> {
    for (const { ordinal, attribute } of holdings(warm.block)) {
      if (attribute.handle !== undefined && isHeldBy(this.#context.node, warm.block, attribute.attributes)) {
        const { handle, attributes } = attribute;
        yield { handle, ip: nthAddress(warm.cidr, ordinal), block: warm.cidr, attributes };
      }
    }
  }

  #onChange(block: WarmBlock): void {
    if (block.isGone && this.#blocks.get(block.cidr) === block) {
      this.#blocks.delete(block.cidr);
      this.#confirmed.delete(block.cidr);
    }
    this.#announce();
  }

  #announce(): void {
    const now = this.views()
      .map(({ cidr, affine }) => `${cidr} ${affine}`)
      .join();
    if (now !== this.#announced) {
      this.#announced = now;
      for (const listener of this.#listeners) {
        listener();
      }
    }
  }
}

/** True when an address is in use on this node; one without a node's name belongs to the owner of the block. */
export function isHeldBy(node: string, block: Block, attributes: Readonly<Record<string, string>>): boolean {
  return (attributes['node'] ?? block.affinity) === node;
}
