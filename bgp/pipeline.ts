/**
 * What follows from received routes, once per tick of a few milliseconds: decision, best-path batches, updates to the
 * other peers (RFC 4271 §9.1, §9.2).
 *
 * A burst costs one decision per prefix and one encoding per update group. Turns are short: a tick decides a bounded
 * number of prefixes and comes back for the rest, so that timers and sockets have their say while a full table loads or
 * is lost (measured: 32,768 prefixes take 5–15 ms).
 */
import type { TimerHandle, Timers } from '#reconcile';
import type { Exchange } from './exchange.ts';
import { type BestChange, LocRib } from './rib/loc-rib.ts';
import { BestPathOutbox, type PackedBestPaths, unpackBestPaths } from './rib/outbox.ts';
import { PrefixTable } from './rib/prefix-table.ts';
import { UpdateGroups } from './rib/update-groups.ts';
import type { BestPathBatch, Speaker } from './speaker-types.ts';

const TICK_MS = 2;
/** Prefixes decided per tick. */
const DECIDE_LIMIT = 32_768;
/** Below this many prefixes nobody looks for unused ones. */
const SWEEP_FLOOR = 65_536;

/** A speaker whose best paths can be taken in packed batches, coalesced, at the pace of the taker. */
export interface PullingSpeaker extends Speaker {
  /** From now on batches wait to be taken; the listener hears when there is one. */
  onBestPathsReady(listener: () => void): void;
  /** At most `limit` changes; undefined when there is nothing to say. */
  takeBestPaths(limit: number): PackedBestPaths | undefined;
}

export interface PipelineOptions {
  readonly timers: Timers;
  readonly exchanges: () => Iterable<Exchange>;
  /** Everything the peers had to tell has been told. */
  readonly inSync: () => boolean;
}

export class Pipeline {
  readonly table = new PrefixTable();
  readonly locRib = new LocRib(this.table);
  readonly groups = new UpdateGroups(this.locRib);
  readonly #outbox = new BestPathOutbox(this.locRib);
  readonly #options: PipelineOptions;
  #tick: TimerHandle | undefined;
  #stopped = false;
  #sweepAt = SWEEP_FLOOR;
  #bestPaths: (batch: BestPathBatch) => void = () => {};
  #ready: (() => void) | undefined;

  constructor(options: PipelineOptions) {
    this.#options = options;
  }

  stop(): void {
    this.#stopped = true;
    if (this.#tick !== undefined) this.#options.timers.clear(this.#tick);
  }

  /** There is work for the next tick. */
  wake(delayMs = TICK_MS): void {
    if (this.#tick !== undefined || this.#stopped) return;
    this.#tick = this.#options.timers.set(() => {
      this.#tick = undefined;
      this.#run();
    }, delayMs);
  }

  onBestPaths(listener: (batch: BestPathBatch) => void): void {
    this.#bestPaths = listener;
  }

  /** From now on batches wait to be taken; the listener hears when there is one. */
  onBestPathsReady(listener: () => void): void {
    this.#ready = listener;
  }

  takeBestPaths(limit: number): PackedBestPaths | undefined {
    return this.#stopped ? undefined : this.#outbox.take(limit);
  }

  #run(): void {
    const changed: number[] = [];
    const report = (change: BestChange): void => {
      changed.push(change.id);
      if (change.nextHopsChanged) this.#outbox.push(change);
    };
    this.locRib.decide(report, DECIDE_LIMIT);
    this.groups.apply(changed);
    this.#outbox.inSync = this.#options.inSync();
    this.#report();
    let hasWork = this.locRib.dirty > 0;
    for (const exchange of this.#options.exchanges()) {
      exchange.flush();
      hasWork ||= exchange.hasWork;
    }
    this.#forgetUnused();
    if (hasWork) this.wake(0);
  }

  #report(): void {
    if (!this.#outbox.hasNews) return;
    if (this.#ready !== undefined) {
      this.#ready();
      return;
    }
    const batch = this.takeBestPaths(Number.POSITIVE_INFINITY);
    if (batch !== undefined) this.#bestPaths(unpackBestPaths(batch));
  }

  /** Prefixes nobody refers to any more give their numbers back, once they may be the larger part. */
  #forgetUnused(): void {
    if (this.table.size < this.#sweepAt) return;
    const marks = new Uint8Array(this.table.end);
    this.locRib.mark(marks);
    this.groups.mark(marks);
    this.#outbox.mark(marks);
    for (const { ribIn } of this.#options.exchanges()) {
      ribIn.forEach((id) => {
        marks[id] = 1;
      });
    }
    this.table.retainOnly(marks);
    this.#sweepAt = this.table.size * 2 + SWEEP_FLOOR;
  }
}
