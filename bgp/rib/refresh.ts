/**
 * A peer tells its routes again between two markers: what it did not repeat is gone (RFC 7313 §4.2).
 *
 * Pure. Between the markers every route of the family stays in use. Kept apart from the stale routes of graceful
 * restart: a session that dies in the middle of a refresh must not lose the routes that were still to come.
 */
import { type Family, type Prefix, prefixFamily } from '#net';

export class RefreshSweep {
  readonly #left = new Map<Family, Set<Prefix>>();

  /** The begin marker: any of these may turn out to be gone. A second one starts again. */
  begin(family: Family, known: Iterable<Prefix>): void {
    const left = new Set<Prefix>();
    for (const prefix of known) if (prefixFamily(prefix) === family) left.add(prefix);
    this.#left.set(family, left);
  }

  /** Told again, or withdrawn. */
  seen(prefix: Prefix): void {
    if (this.#left.size > 0) this.#left.get(prefixFamily(prefix))?.delete(prefix);
  }

  /** The end marker: what was not told again; nothing where there was no begin. */
  end(family: Family): readonly Prefix[] {
    const left = this.#left.get(family) ?? [];
    this.#left.delete(family);
    return [...left];
  }

  get isOpen(): boolean {
    return this.#left.size > 0;
  }

  /** Families between their markers. */
  get open(): readonly Family[] {
    return [...this.#left.keys()];
  }

  clear(): void {
    this.#left.clear();
  }
}
