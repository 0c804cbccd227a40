/**
 * Adj-RIB-In: what one peer told us, whether we use it or not (RFC 4271 §3.2), and which of it is stale (RFC 4724).
 *
 * Pure. Refused routes are kept with their reason: a changed policy then needs no ROUTE-REFRESH, and a looking glass can
 * show what was turned away. Every prefix in the stale set is also in the table.
 */
import { type Family, type Prefix, prefixFamily } from '#net';
import type { Path } from './path.ts';

export interface RouteIn {
  readonly path: Path;
  /** Why it may not be used; undefined = accepted. */
  readonly refused: string | undefined;
}

export class AdjRibIn {
  readonly #routes = new Map<Prefix, RouteIn>();
  readonly #stale = new Set<Prefix>();
  #accepted = 0;

  get received(): number {
    return this.#routes.size;
  }

  get accepted(): number {
    return this.#accepted;
  }

  get stale(): number {
    return this.#stale.size;
  }

  isStale(prefix: Prefix): boolean {
    return this.#stale.has(prefix);
  }

  get(prefix: Prefix): RouteIn | undefined {
    return this.#routes.get(prefix);
  }

  values(): IterableIterator<RouteIn> {
    return this.#routes.values();
  }

  /** Implicitly replaces what the peer said before · RFC 4271 §3.1. */
  announce(route: RouteIn): void {
    const { prefix } = route.path;
    this.#count(this.#routes.get(prefix), route);
    this.#routes.set(prefix, route);
    this.#stale.delete(prefix);
  }

  /** Another verdict on a known route; leaves staleness alone. */
  judge(prefix: Prefix, refused: string | undefined): void {
    const route = this.#routes.get(prefix);
    if (route === undefined) return;
    const judged = { path: route.path, refused };
    this.#count(route, judged);
    this.#routes.set(prefix, judged);
  }

  /** Returns whether there was such a route. */
  withdraw(prefix: Prefix): boolean {
    this.#count(this.#routes.get(prefix), undefined);
    this.#stale.delete(prefix);
    return this.#routes.delete(prefix);
  }

  /**
   * The session ended: keep these families as stale, drop the rest, and drop what was stale already, because a route
   * may outlive one restart only · RFC 4724 §4.2. Returns what was dropped.
   */
  markStale(families: readonly Family[]): readonly Prefix[] {
    const dropped: Prefix[] = [];
    for (const prefix of this.#routes.keys()) {
      if (this.#stale.has(prefix) || !families.includes(prefixFamily(prefix))) dropped.push(prefix);
      else this.#stale.add(prefix);
    }
    for (const prefix of dropped) this.withdraw(prefix);
    return dropped;
  }

  /** Drop what is still stale; of one family, or all. Returns what was dropped. */
  sweep(family?: Family): readonly Prefix[] {
    const dropped = [...this.#stale].filter((prefix) => family === undefined || prefixFamily(prefix) === family);
    for (const prefix of dropped) this.withdraw(prefix);
    return dropped;
  }

  #count(before: RouteIn | undefined, after: RouteIn | undefined): void {
    if (before !== undefined && before.refused === undefined) this.#accepted -= 1;
    if (after !== undefined && after.refused === undefined) this.#accepted += 1;
  }
}
