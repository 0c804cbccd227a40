/**
 * Best-path changes on their way to a receiver that may be slow: numbers only, the last state of each prefix once, in
 * batches of bounded size (decision 8). A batch is packed arrays that can be transferred to another thread, and names
 * next-hop sets by number: thousands of routes through one node cross as one list of addresses.
 */
import { type Ip, type Prefix, prefixFromBytes } from '#net';
import type { BestPathBatch, BestPathChange } from '../speaker-types.ts';
import type { BestChange, LocRib } from './loc-rib.ts';

/** Longest form of one prefix in a batch: family, length, sixteen octets. */
const MAX_PREFIX_BYTES = 18;

export interface PackedBestPaths {
  readonly count: number;
  /** Per prefix the family (4 or 6) in one octet, then the prefix as NLRI. */
  readonly prefixes: Uint8Array;
  readonly nextHopSets: readonly (readonly Ip[])[];
  /** Per prefix: index into nextHopSets. */
  readonly setOf: Uint32Array;
  /** Per prefix: 1 = ebgp, 0 = ibgp. */
  readonly isEbgp: Uint8Array;
  readonly inSync: boolean;
}

export class BestPathOutbox {
  readonly #locRib: LocRib;
  /** Waiting ids in order of arrival, from #start to #end. */
  #queue = new Int32Array(1024);
  #start = 0;
  #end = 0;
  /** Per id: 0 = not waiting, else 1 + whether the last learned route was from another AS. */
  #waiting = new Uint8Array(1024);
  #inSync = false;
  #toldInSync = false;

  constructor(locRib: LocRib) {
    this.#locRib = locRib;
  }

  get size(): number {
    return this.#end - this.#start;
  }

  push({ id, best, previous }: BestChange): void {
    const learned = best === undefined || best.source.kind === 'local' ? (previous ?? best) : best;
    if (id >= this.#waiting.length) this.#waiting = enlarge(this.#waiting, new Uint8Array(id * 2));
    const isNew = this.#waiting[id] === 0;
    this.#waiting[id] = learned?.source.kind === 'ebgp' ? 2 : 1;
    if (!isNew) return;
    if (this.#end === this.#queue.length) this.#makeRoom();
    this.#queue[this.#end] = id;
    this.#end += 1;
  }

  /** There is something to take. */
  get hasNews(): boolean {
    return this.size > 0 || this.#inSync !== this.#toldInSync;
  }

  /** Everything the peers had to tell has been told, or not. */
  set inSync(inSync: boolean) {
    this.#inSync = inSync;
  }

  /** The next batch, undefined when there is nothing to say; in sync only once nothing waits behind it. */
  take(limit: number): PackedBestPaths | undefined {
    if (!this.hasNews) return undefined;
    const count = Math.min(limit, this.size);
    const prefixes = new Uint8Array(count * MAX_PREFIX_BYTES);
    const setOf = new Uint32Array(count);
    const isEbgp = new Uint8Array(count);
    const sets = new NextHopSets();
    let at = 0;
    for (let index = 0; index < count; index += 1) {
      const id = this.#queue[this.#start + index] ?? 0;
      prefixes[at] = this.#locRib.table.family(id);
      at = this.#locRib.table.writeNlri(id, prefixes, at + 1);
      setOf[index] = sets.numberOf(this.#locRib.nextHops(id));
      isEbgp[index] = Number(this.#waiting[id] === 2);
      this.#waiting[id] = 0;
    }
    this.#start += count;
    this.#toldInSync = this.#inSync && (this.#toldInSync || this.size === 0);
    return { count, prefixes: prefixes.slice(0, at), nextHopSets: sets.sets, setOf, isEbgp, inSync: this.#toldInSync };
  }

  mark(marks: Uint8Array): void {
    for (let at = this.#start; at < this.#end; at += 1) marks[this.#queue[at] ?? 0] = 1;
  }

  /** Moves the queue to the front, into a larger array where it fills this one. */
  #makeRoom(): void {
    const waiting = this.#queue.subarray(this.#start, this.#end);
    const queue = waiting.length * 2 > this.#queue.length ? new Int32Array(this.#queue.length * 2) : this.#queue;
    queue.set(waiting);
    this.#queue = queue;
    this.#end = waiting.length;
    this.#start = 0;
  }
}

/** A batch as values, which are made when somebody asks for them. */
export function unpackBestPaths(packed: PackedBestPaths): BestPathBatch {
  let changes: readonly BestPathChange[] | undefined;
  return {
    get changes() {
      changes ??= unpackChanges(packed);
      return changes;
    },
    inSync: packed.inSync,
  };
}

function unpackChanges({ count, prefixes, nextHopSets, setOf, isEbgp }: PackedBestPaths): readonly BestPathChange[] {
  const changes: BestPathChange[] = [];
  let at = 0;
  for (let index = 0; index < count; index += 1) {
    const family = prefixes[at] === 6 ? 6 : 4;
    const length = prefixes[at + 1] ?? 0;
    const prefix: Prefix = prefixFromBytes(family, prefixes, at + 2, length);
    const nextHops = nextHopSets[setOf[index] ?? -1] ?? [];
    changes.push({ prefix, nextHops, source: isEbgp[index] === 1 ? 'ebgp' : 'ibgp' });
    at += 2 + ((length + 7) >>> 3);
  }
  return changes;
}

function enlarge(from: Uint8Array<ArrayBuffer>, to: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  to.set(from);
  return to;
}

/** Numbers next-hop sets in order of appearance. */
class NextHopSets {
  readonly sets: (readonly Ip[])[] = [];
  readonly #numbers = new Map<string, number>();

  numberOf(nextHops: readonly Ip[]): number {
    const key = nextHops.length === 1 ? (nextHops[0] ?? '') : nextHops.join(' ');
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    this.#numbers.set(key, this.sets.length);
    return this.sets.push(nextHops) - 1;
  }
}
