/**
 * What the agent's main thread and the speaker's thread say to each other, and how best-path batches are bounded.
 *
 * Changes wait by prefix, so that a main thread that is busy gets the last state of each prefix once; at most one batch
 * is under way, and the next is sent when the receiver has taken it. A batch names next-hop sets by number: thousands
 * of routes through one node cross as one list of addresses.
 */
import type {
  BestPathBatch,
  BestPathChange,
  LogFields,
  OriginatedRoute,
  PeerChange,
  PeerSpec,
  ResetKind,
  SpeakerErrorCode,
  SpeakerLog,
} from '#bgp';
import type { Ip, Prefix } from '#net';

export type SpeakerRequest =
  | { readonly kind: 'start' | 'peers' | 'routes'; readonly id: number }
  | { readonly kind: 'stop'; readonly id: number; readonly mode: 'restart' | 'shutdown' }
  | { readonly kind: 'reset'; readonly id: number; readonly peer: string; readonly how: ResetKind }
  | { readonly kind: 'peer-gone'; readonly peer: string }
  | { readonly kind: 'set-peers'; readonly peers: readonly PeerSpec[] }
  | { readonly kind: 'set-originated'; readonly routes: readonly OriginatedRoute[] }
  | { readonly kind: 'batch-taken' };

export type SpeakerReport =
  | { readonly kind: 'reply'; readonly id: number; readonly value: unknown }
  | {
      readonly kind: 'refused';
      readonly id: number;
      readonly code: SpeakerErrorCode | undefined;
      readonly message: string;
    }
  | { readonly kind: 'best-paths'; readonly batch: PackedBatch }
  | { readonly kind: 'peer-change'; readonly change: PeerChange }
  | { readonly kind: 'log'; readonly level: keyof SpeakerLog; readonly message: string; readonly fields: LogFields };

export interface PackedBatch {
  readonly prefixes: readonly Prefix[];
  readonly nextHopSets: readonly (readonly Ip[])[];
  /** Per prefix: index into nextHopSets. */
  readonly setOf: Uint32Array;
  /** Per prefix: 1 = ebgp, 0 = ibgp. */
  readonly isEbgp: Uint8Array;
  readonly inSync: boolean;
}

export function packBatch({ changes, inSync }: BestPathBatch): PackedBatch {
  const ids = new Map<string, number>();
  const nextHopSets: (readonly Ip[])[] = [];
  const setOf = Uint32Array.from(changes, ({ nextHops }) => {
    const key = nextHops.join(' ');
    const known = ids.get(key);
    if (known !== undefined) return known;
    ids.set(key, nextHopSets.length);
    return nextHopSets.push(nextHops) - 1;
  });
  const isEbgp = Uint8Array.from(changes, ({ source }) => Number(source === 'ebgp'));
  return { prefixes: changes.map(({ prefix }) => prefix), nextHopSets, setOf, isEbgp, inSync };
}

export function unpackBatch({ prefixes, nextHopSets, setOf, isEbgp, inSync }: PackedBatch): BestPathBatch {
  const changes = prefixes.map((prefix, index) => ({
    prefix,
    nextHops: nextHopSets[setOf[index] ?? -1] ?? [],
    source: isEbgp[index] === 1 ? ('ebgp' as const) : ('ibgp' as const),
  }));
  return { changes, inSync };
}

/** Best-path changes on their way to a receiver that may be slow. */
export class BatchQueue {
  readonly #pending = new Map<Prefix, BestPathChange>();
  readonly #limit: number;
  #inSync = false;
  #toldInSync = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#pending.size;
  }

  push(batch: BestPathBatch): void {
    for (const change of batch.changes) this.#pending.set(change.prefix, change);
    this.#inSync = batch.inSync;
  }

  /** The next batch, undefined when there is nothing to say; in sync only once nothing waits behind it. */
  take(): BestPathBatch | undefined {
    if (this.#pending.size === 0 && this.#inSync === this.#toldInSync) return undefined;
    const changes: BestPathChange[] = [];
    for (const [prefix, change] of this.#pending) {
      if (changes.length === this.#limit) break;
      this.#pending.delete(prefix);
      changes.push(change);
    }
    this.#toldInSync = this.#inSync && (this.#toldInSync || this.#pending.size === 0);
    return { changes, inSync: this.#toldInSync };
  }
}
