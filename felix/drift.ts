/**
 * Keeps book of what others did to our kernel state and how long it took to put right. A repair is counted when the
 * kernel has acknowledged it; its time runs from the first hint (or from the audit that found it).
 */
import type { Prefix } from '#net';
import { type Route, sameRoute } from './iproute2/route.ts';
import type { FelixStatus, Repair } from './status.ts';

type Change = 'deleted' | 'modified' | 'unknown';

export class Drift {
  readonly counts = { added: 0, changed: 0, removed: 0, links: 0, nat: 0, sysctls: 0 };
  lastRepair: Repair | undefined;
  #suspectedMs: number | undefined;
  readonly #found = new Map<Prefix, Change>();

  /** A hint came: the clock of the repair starts, unless it runs already. */
  suspect(nowMs: number): void {
    this.#suspectedMs ??= nowMs;
  }

  /** Compares what we believed with what was read back for the prefixes that differ. */
  compare(
    believed: ReadonlyMap<Prefix, Route>,
    changes: ReadonlyMap<Prefix, Route | undefined>,
    desired: ReadonlyMap<Prefix, Route>,
  ): void {
    for (const [prefix, now] of changes) {
      const route = believed.get(prefix);
      if (route === undefined) {
        if (now !== undefined) this.#found.set(prefix, 'unknown');
      } else if (desired.has(prefix) && (now === undefined || !sameRoute(now, route))) {
        this.#found.set(prefix, now === undefined ? 'deleted' : 'modified');
      }
    }
  }

  /** Books what is right again; `isRight` says whether the kernel now holds what is wanted for a prefix. */
  settle(nowMs: number, isRight: (prefix: Prefix) => boolean): Repair | undefined {
    const done = [...this.#found].filter(([prefix]) => isRight(prefix));
    for (const [prefix, change] of done) {
      this.#found.delete(prefix);
      this.counts[change === 'deleted' ? 'added' : change === 'modified' ? 'changed' : 'removed'] += 1;
    }
    const [first] = done;
    const more = done.length > 1 ? ` and ${done.length - 1} more` : '';
    if (first !== undefined) this.repaired(`route ${first[0]} (${first[1]})${more}`, nowMs);
    if (this.#found.size === 0) this.#suspectedMs = undefined;
    return first === undefined ? undefined : this.lastRepair;
  }

  /** Books one repair. */
  repaired(what: string, nowMs: number): void {
    this.lastRepair = { what, atMs: nowMs, tookMs: nowMs - (this.#suspectedMs ?? nowMs) };
  }

  get status(): FelixStatus['drift'] {
    return { ...this.counts };
  }
}
