// One round of collection: look at the caches, and for what has been unused for the whole grace period look again at the
// API itself, then free it by compare-and-swap. What collects is decided in collect.ts; this is the acting half.
//
// Invariants: nothing is freed on the word of a cache alone; an assignment made since (its sequence number tells) is left
// alone; a round does a bounded amount of work, and a finding that fails is tried again after all others.
import {
  affinityName,
  type Block,
  blockFaults,
  blockName,
  freeCount,
  holdings,
  IpamError,
  type IpamStore,
  isIpamError,
  release,
  type Revisioned,
} from '#ipam';
import { formatError, type Log } from '#observe';
import type { Timers } from '#reconcile';
import { dueFindings, type Finding, type FindingKind, findUnused, type Memory, pickWork, remember } from './collect.ts';
import { judge, type Held } from './sandbox.ts';
import type { NodeView, PodView, Seen, Snapshot } from './snapshot.ts';

/** Reads of the API itself, never of a cache. */
export interface FreshReader {
  /** `key`: `namespace/name`. */
  pod(key: string, signal: AbortSignal): Promise<Seen<PodView>>;
  node(name: string, signal: AbortSignal): Promise<Seen<NodeView>>;
}

export interface CollectorOptions {
  readonly store: IpamStore;
  readonly fresh: FreshReader;
  /** Undefined until every cache has listed, and while one cannot follow. */
  readonly snapshot: () => Snapshot | undefined;
  readonly cooldownSeconds: () => number;
  readonly graceMs: number;
  /** Findings worked on in one round. */
  readonly batch: number;
  readonly timers: Timers;
  /** Wall clock, ms since 1970. */
  readonly now: () => number;
  readonly log: Log;
}

/** Throws when this process may not act any more; called right before every write. */
export type Guard = () => void;

export interface CollectorStatus {
  readonly suspected: Readonly<Record<FindingKind, number>>;
  readonly reclaimed: Readonly<Record<FindingKind, number>>;
  readonly errors: number;
}

/** After so many in a row the API counts as away, and the round ends. */
const maxOutages = 3;
const maxConflicts = 4;
/** Longest time between two looks, as a share of the grace period, that still counts as looking on. */
const longestGap = 0.5;

export class Collector {
  readonly #options: CollectorOptions;
  readonly #attempts = new Map<string, number>();
  readonly #suspected: Record<FindingKind, number> = { addresses: 0, block: 0, affinity: 0 };
  readonly #reclaimed: Record<FindingKind, number> = { addresses: 0, block: 0, affinity: 0 };
  #memory: Memory = new Map();
  #observedMs = Number.NEGATIVE_INFINITY;
  #round = 0;
  #errors = 0;

  constructor(options: CollectorOptions) {
    this.#options = options;
  }

  status(): CollectorStatus {
    return { suspected: { ...this.#suspected }, reclaimed: { ...this.#reclaimed }, errors: this.#errors };
  }

  /** Looks without acting, so that whoever leads next knows since when. Gives what could be worked on now. */
  observe(): readonly Finding[] {
    const snapshot = this.#options.snapshot();
    if (snapshot === undefined) return [];
    const nowMs = this.#options.timers.now();
    const suspicions = findUnused(snapshot);
    // Whatever happened while nobody looked: what was seen before and is seen now need not have been so between.
    const isGap = nowMs - this.#observedMs > this.#options.graceMs * longestGap;
    this.#memory = remember(snapshot, suspicions, isGap ? new Map() : this.#memory, nowMs);
    this.#observedMs = nowMs;
    for (const kind of ['addresses', 'block', 'affinity'] as const)
      this.#suspected[kind] = suspicions.filter(({ finding }) => finding.kind === kind).length;
    const known = new Set(suspicions.map(({ finding }) => finding.key));
    for (const key of this.#attempts.keys()) if (!known.has(key)) this.#attempts.delete(key);
    return dueFindings(suspicions, this.#memory, { nowMs, graceMs: this.#options.graceMs });
  }

  /** Works on at most a batch; true when there was more. Throws when the API is away, or the guard says stop. */
  async run(guard: Guard, signal: AbortSignal): Promise<boolean> {
    const due = this.observe();
    const chosen = pickWork(due, this.#attempts, this.#options.batch);
    this.#round += 1;
    let outages = 0;
    for (const finding of chosen) {
      signal.throwIfAborted();
      guard();
      this.#attempts.set(finding.key, this.#round);
      try {
        await this.#collect(finding, guard, signal);
        outages = 0;
      } catch (error) {
        signal.throwIfAborted();
        guard();
        this.#errors += 1;
        this.#options.log.warn('could not be collected, will be tried again', {
          finding: finding.key,
          reason: formatError(error),
        });
        if (!isIpamError(error, 'CONFLICT', 'NOT_FOUND', 'CORRUPT') && ++outages >= maxOutages) throw error;
      }
    }
    return due.length > chosen.length;
  }

  async #collect(finding: Finding, guard: Guard, signal: AbortSignal): Promise<void> {
    const act = { guard, signal };
    switch (finding.kind) {
      case 'addresses':
        return await this.#freeAddresses(finding, act);
      case 'block':
        return await this.#removeBlock(finding, act);
      case 'affinity':
        return await this.#removeLeftAffinity(finding, act);
    }
  }

  async #freeAddresses({ sandbox }: Finding & { kind: 'addresses' }, act: Act): Promise<void> {
    const { fresh, log } = this.#options;
    const pod = await fresh.pod(sandbox.pod, act.signal);
    const boundTo = typeof pod === 'object' ? pod.node : undefined;
    const node = boundTo === undefined ? undefined : await fresh.node(boundTo, act.signal);
    const verdict = judge(sandbox, pod, node);
    if (verdict.lives) return;
    for (const [name, held] of Map.groupBy(sandbox.held, ({ block }) => block)) {
      const freed = await this.#freeIn(name, held, act);
      this.#reclaimed.addresses += freed;
      if (freed > 0)
        log.info('addresses of a dead sandbox freed', {
          pod: sandbox.pod,
          node: sandbox.node,
          addresses: held.map(({ ip }) => ip),
          handle: held[0]?.handle,
          reason: verdict.why,
        });
    }
  }

  /** How many addresses were freed: all of `held`, or none when one of them was assigned anew or freed since. */
  async #freeIn(name: string, held: readonly Held[], act: Act): Promise<number> {
    return await retrying(async () => {
      const stored = await this.#readBlock(name, act.signal);
      if (stored === undefined || !stillHolds(stored.value, held)) return 0;
      const handles = new Set(held.map(({ handle }) => handle));
      const cooldownSeconds = this.#options.cooldownSeconds();
      let block = stored.value;
      for (const handle of handles) {
        const released = release(block, { handle, cooldownSeconds }, this.#options.now());
        if (released.kind === 'released') block = released.block;
      }
      act.guard();
      await this.#options.store.blocks.update(name, block, stored.revision, act);
      return held.length;
    });
  }

  async #removeBlock({ name, owner }: Finding & { kind: 'block' }, act: Act): Promise<void> {
    if (owner !== undefined && (await this.#nodeExists(owner, act.signal))) return;
    const { store, log } = this.#options;
    const removed = await retrying(async () => {
      const stored = await this.#readBlock(name, act.signal);
      if (stored === undefined || stored.value.affinity !== owner || !this.#isUnused(stored.value)) return undefined;
      act.guard();
      await store.blocks.remove(name, stored.revision, act);
      return stored.value;
    });
    if (removed === undefined) return;
    this.#reclaimed.block += 1;
    log.info('block without an owner removed', { block: removed.cidr, node: owner });
    if (owner !== undefined) await this.#removeAffinity(affinityName(owner, removed.cidr), owner, act);
  }

  async #removeLeftAffinity({ name, node }: Finding & { kind: 'affinity' }, act: Act): Promise<void> {
    if (!(await this.#nodeExists(node, act.signal))) await this.#removeAffinity(name, node, act);
  }

  /** Removes the affinity of a Node that is gone, unless a block of its own is behind it. */
  async #removeAffinity(name: string, node: string, act: Act): Promise<void> {
    const { store, log } = this.#options;
    await retrying(async () => {
      const stored = await store.affinities.get(name, act);
      if (stored === undefined || stored.value.node !== node) return;
      const block = await this.#readBlock(blockName(stored.value.cidr), act.signal);
      if (block !== undefined && !block.value.deleted && block.value.affinity === node) return;
      act.guard();
      await store.affinities.remove(name, stored.revision, act);
      this.#reclaimed.affinity += 1;
      log.info('affinity of a node that is gone removed', { block: stored.value.cidr, node });
    });
  }

  async #readBlock(name: string, signal: AbortSignal): Promise<Revisioned<Block> | undefined> {
    const stored = await this.#options.store.blocks.get(name, { signal });
    const [fault] = stored === undefined ? [] : blockFaults(stored.value);
    if (fault !== undefined) throw new IpamError('CORRUPT', `block ${name}: ${fault}`);
    return stored;
  }

  async #nodeExists(name: string, signal: AbortSignal): Promise<boolean> {
    return (await this.#options.fresh.node(name, signal)) !== undefined;
  }

  /** Nobody holds an address of it, nor does one rest from its last holder. */
  #isUnused(block: Block): boolean {
    const free = freeCount(block, this.#options.cooldownSeconds(), this.#options.now());
    return block.deleted || free === block.allocations.length;
  }
}

interface Act {
  readonly guard: Guard;
  readonly signal: AbortSignal;
}

/** True when the handles of `held` hold exactly these addresses, each by the same assignment. */
function stillHolds(block: Block, held: readonly Held[]): boolean {
  const wanted = new Map(held.map((each) => [each.ordinal, each]));
  const handles = new Set(held.map(({ handle }) => handle));
  let matched = 0;
  for (const { ordinal, attribute } of holdings(block)) {
    if (attribute.handle === undefined || !handles.has(attribute.handle)) continue;
    const each = wanted.get(ordinal);
    const sequenceNumber = block.sequenceNumberForAllocation[String(ordinal)];
    if (each?.handle !== attribute.handle || each.sequenceNumber !== sequenceNumber) return false;
    matched += 1;
  }
  return matched === held.length;
}

/** Runs `attempt`, which begins by reading, again when it met a newer object. */
async function retrying<T>(attempt: () => Promise<T>): Promise<T> {
  for (let conflicts = 0; ; ) {
    try {
      return await attempt();
    } catch (error) {
      if (!isIpamError(error, 'CONFLICT', 'NOT_FOUND') || ++conflicts >= maxConflicts) throw error;
    }
  }
}
