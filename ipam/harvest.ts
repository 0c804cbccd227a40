// The addresses gathered for one request, by block, until there are enough. [pure]

import type { Prefix } from '#net';
import type { AssignedAddress } from './assign.ts';

export class Harvest {
  readonly #count: number;
  readonly #byBlock = new Map<Prefix, readonly AssignedAddress[]>();

  /** `held`: what the handle holds already. */
  constructor(count: number, held: readonly AssignedAddress[]) {
    this.#count = count;
    for (const [block, addresses] of Map.groupBy(held, (address) => address.block)) {
      this.#byBlock.set(block, addresses);
    }
  }

  get isComplete(): boolean {
    return this.#gathered >= this.#count;
  }

  /** As many as were asked for, the ones gathered first first. */
  get addresses(): readonly AssignedAddress[] {
    return [...this.#byBlock.values()].flat().slice(0, this.#count);
  }

  /** How many addresses the handle should hold in this block, so that with the other blocks there are enough. */
  wantedIn(block: Prefix): number {
    return this.#count - this.#gathered + (this.#byBlock.get(block)?.length ?? 0);
  }

  /** What the handle holds in this block now; undefined: the block is gone, and took with it what was held. */
  put(block: Prefix, addresses: readonly AssignedAddress[] | undefined): void {
    this.#byBlock.set(block, addresses ?? []);
  }

  get #gathered(): number {
    return [...this.#byBlock.values()].reduce((sum, addresses) => sum + addresses.length, 0);
  }
}
