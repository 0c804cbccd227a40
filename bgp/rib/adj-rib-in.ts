/**
 * Adj-RIB-In: what one peer told us, whether we use it or not (RFC 4271 §3.2), and which of it is stale (RFC 4724).
 *
 * Pure. Refused routes are kept with their reason: a changed policy then needs no ROUTE-REFRESH, and a looking glass can
 * show what was turned away. One reference per prefix: routes that share attributes and verdict share the RouteIn.
 * Every prefix in the stale set is also in the table.
 */
import type { Family } from '#net';
import { Column } from './column.ts';
import type { Route } from './path.ts';
import type { PrefixTable } from './prefix-table.ts';

export interface RouteIn {
  /** As received. */
  readonly route: Route;
  /** Why it may not be used; undefined = accepted. */
  readonly refused: string | undefined;
}

export class AdjRibIn<T extends RouteIn = RouteIn> {
  readonly #table: PrefixTable;
  readonly #routes = new Column<T>();
  readonly #stale = new Set<number>();
  #accepted = 0;

  constructor(table: PrefixTable) {
    this.#table = table;
  }

  get received(): number {
    return this.#routes.size;
  }

  get accepted(): number {
    return this.#accepted;
  }

  get stale(): number {
    return this.#stale.size;
  }

  isStale(id: number): boolean {
    return this.#stale.has(id);
  }

  get(id: number): T | undefined {
    return this.#routes.get(id);
  }

  forEach(visit: (id: number, route: T) => void): void {
    this.#routes.forEach(visit);
  }

  /** Implicitly replaces what the peer said before · RFC 4271 §3.1 · returns what that was. */
  announce(id: number, route: T): T | undefined {
    if (this.#stale.size > 0) this.#stale.delete(id);
    return this.#replace(id, route);
  }

  /** Another verdict on a known route; leaves staleness alone. */
  judge(id: number, route: T): void {
    if (this.#routes.get(id) !== undefined) this.#replace(id, route);
  }

  /** Returns whether there was such a route. */
  withdraw(id: number): boolean {
    if (this.#stale.size > 0) this.#stale.delete(id);
    return this.#replace(id, undefined) !== undefined;
  }

  /**
   * The session ended: keep these families as stale, drop the rest, and drop what was stale already, because a route
   * may outlive one restart only · RFC 4724 §4.2. Returns what was dropped.
   */
  markStale(families: readonly Family[]): readonly number[] {
    const dropped: number[] = [];
    this.#routes.forEach((id) => {
      if (this.#stale.has(id) || !families.includes(this.#table.family(id))) dropped.push(id);
      else this.#stale.add(id);
    });
    if (dropped.length === this.#routes.size) this.#clear();
    else for (const id of dropped) this.withdraw(id);
    return dropped;
  }

  /** Drop what is still stale; of one family, or all. Returns what was dropped. */
  sweep(family?: Family): readonly number[] {
    const dropped = [...this.#stale].filter((id) => family === undefined || this.#table.family(id) === family);
    for (const id of dropped) this.withdraw(id);
    return dropped;
  }

  #clear(): void {
    this.#routes.clear();
    this.#stale.clear();
    this.#accepted = 0;
  }

  #replace(id: number, route: T | undefined): T | undefined {
    const before = this.#routes.set(id, route);
    if (before !== undefined && before.refused === undefined) this.#accepted -= 1;
    if (route !== undefined && route.refused === undefined) this.#accepted += 1;
    return before;
  }
}
