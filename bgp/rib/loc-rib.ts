/**
 * Loc-RIB: the accepted paths of all peers and our own, by prefix, and the chosen one of each (RFC 4271 §9.1.2).
 *
 * Pure and incremental: a change marks its prefix dirty, decide() runs the selection for dirty prefixes only and
 * reports what came of it. An announcement that says nothing new marks nothing.
 */
import { compareIp, type Ip, type Prefix } from '#net';
import { choose } from './decision.ts';
import { fingerprint, type Path } from './path.ts';

interface Destination {
  /** At most one per source name. */
  paths: readonly Path[];
  best: Path | undefined;
  nextHops: readonly Ip[];
}

/** What a decision changed for one prefix. */
export interface BestChange {
  readonly prefix: Prefix;
  readonly best: Path | undefined;
  readonly previous: Path | undefined;
  /** Next hops of the learned multipath set, ascending; empty when unreachable or our own. */
  readonly nextHops: readonly Ip[];
  readonly nextHopsChanged: boolean;
}

export class LocRib {
  readonly #destinations = new Map<Prefix, Destination>();
  readonly #dirty = new Set<Prefix>();

  get size(): number {
    return this.#destinations.size;
  }

  get dirty(): number {
    return this.#dirty.size;
  }

  prefixes(): IterableIterator<Prefix> {
    return this.#destinations.keys();
  }

  best(prefix: Prefix): Path | undefined {
    return this.#destinations.get(prefix)?.best;
  }

  paths(prefix: Prefix): readonly Path[] {
    return this.#destinations.get(prefix)?.paths ?? [];
  }

  /** The source's path to the prefix is now this one. */
  offer(path: Path): void {
    const destination = this.#destinations.get(path.prefix);
    if (destination === undefined) {
      this.#destinations.set(path.prefix, { paths: [path], best: undefined, nextHops: [] });
    } else {
      const known = destination.paths.find((other) => other.source.name === path.source.name);
      if (known !== undefined && saysTheSame(known, path)) return;
      destination.paths = [...destination.paths.filter((other) => other !== known), path];
    }
    this.#dirty.add(path.prefix);
  }

  /** The source has no path to the prefix any more; absent is fine. */
  retract(sourceName: string, prefix: Prefix): void {
    const destination = this.#destinations.get(prefix);
    if (destination === undefined) return;
    const paths = destination.paths.filter((path) => path.source.name !== sourceName);
    if (paths.length === destination.paths.length) return;
    destination.paths = paths;
    this.#dirty.add(prefix);
  }

  /** Select again wherever something changed, and report prefixes whose best path or next hops are new. */
  decide(): readonly BestChange[] {
    const changes: BestChange[] = [];
    for (const prefix of this.#dirty) {
      const destination = this.#destinations.get(prefix);
      if (destination === undefined) continue;
      const change = this.#select(prefix, destination);
      if (change !== undefined) changes.push(change);
      if (destination.paths.length === 0) this.#destinations.delete(prefix);
    }
    this.#dirty.clear();
    return changes;
  }

  #select(prefix: Prefix, destination: Destination): BestChange | undefined {
    const verdict = choose(destination.paths);
    const previous = destination.best;
    const nextHops = nextHopsOf(verdict?.multipath ?? []);
    const nextHopsChanged = !sameList(nextHops, destination.nextHops);
    destination.best = verdict?.best;
    destination.nextHops = nextHops;
    if (previous === destination.best && !nextHopsChanged) return undefined;
    return { prefix, best: destination.best, previous, nextHops, nextHopsChanged };
  }
}

/** Same source, next hop and attributes: nothing downstream can differ. */
function saysTheSame(a: Path, b: Path): boolean {
  if (a.nextHop !== b.nextHop || a.source.kind !== b.source.kind || a.source.routerId !== b.source.routerId)
    return false;
  return a.attributes === b.attributes || fingerprint(a.attributes) === fingerprint(b.attributes);
}

function nextHopsOf(multipath: readonly Path[]): readonly Ip[] {
  const nextHops = new Set<Ip>();
  for (const { nextHop } of multipath) if (nextHop !== undefined) nextHops.add(nextHop);
  return nextHops.size < 2 ? [...nextHops] : [...nextHops].sort(compareIp);
}

function sameList(a: readonly Ip[], b: readonly Ip[]): boolean {
  return a.length === b.length && a.every((ip, index) => ip === b[index]);
}
