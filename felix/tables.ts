/**
 * The tables Felix reads, and which prefixes a change to them concerns. The one owner of every input map. Invariant:
 * setting the same value again marks nothing dirty, so the loop has nothing to do and writes nothing.
 */
import { hostPrefix, type Ip, type Prefix, PrefixMap } from '#net';
import { workloadPrefixes } from './calc/routes.ts';
import type { LearnedBatch, LearnedRoute, PoolInput, Workload } from './inputs.ts';

/** What has to be looked at again. */
export interface Dirty {
  readonly everything: boolean;
  readonly prefixes: ReadonlySet<Prefix>;
  readonly nat: boolean;
}

type Table = 'node' | 'blocks' | 'learned' | 'pools' | 'workloads';

export class Tables {
  readonly inSync: Record<Table, boolean> = {
    node: false,
    blocks: false,
    learned: false,
    pools: false,
    workloads: false,
  };
  node: readonly Ip[] = [];
  blocks = new PrefixMap<true>();
  readonly learned = new Map<Prefix, readonly Ip[]>();
  pools: readonly PoolInput[] = [];
  /** By host interface, in the order they were wired. */
  readonly workloads = new Map<string, Workload>();
  /**
   * Host interfaces that were unplugged and that the agent's memory may still hold: never taken back from it, and their
   * routes may go whether the table is in sync or not.
   */
  readonly released = new Set<string>();
  /** Host interfaces that were plugged and that the agent's memory may not hold yet. */
  readonly #fresh = new Set<string>();
  #byPrefix: ReadonlyMap<Prefix, Workload> | undefined;
  #everything = true;
  #nat = true;
  #prefixes = new Set<Prefix>();

  setNode(addresses: readonly Ip[]): void {
    if (this.inSync.node && addresses.join() === this.node.join()) return;
    this.inSync.node = true;
    this.node = addresses;
    this.#everything = true;
  }

  setBlocks(blocks: readonly Prefix[], inSync: boolean): void {
    this.#sync('blocks', inSync);
    const next = new PrefixMap<true>(blocks.map((block) => [block, true]));
    // A block also decides about learned routes inside it, so a changed set of blocks concerns more than itself.
    if (next.size !== this.blocks.size || blocks.some((block) => !this.blocks.has(block))) this.#everything = true;
    this.blocks = next;
  }

  setLearned(routes: readonly LearnedRoute[], inSync: boolean): void {
    const kept = new Set(routes.map((route) => route.prefix));
    const gone = [...this.learned.keys()].filter((prefix) => !kept.has(prefix));
    this.applyLearned({ changes: [...gone.map((prefix) => ({ prefix, nextHops: [] })), ...routes], inSync });
  }

  applyLearned(batch: LearnedBatch): void {
    this.#sync('learned', batch.inSync);
    for (const { prefix, nextHops } of batch.changes) {
      if ((this.learned.get(prefix) ?? []).join() === nextHops.join()) continue;
      if (nextHops.length === 0) this.learned.delete(prefix);
      else this.learned.set(prefix, [...nextHops]);
      this.#prefixes.add(prefix);
    }
  }

  setPools(pools: readonly PoolInput[], inSync: boolean): void {
    if (this.inSync.pools !== inSync || JSON.stringify(pools) !== JSON.stringify(this.pools)) this.#nat = true;
    this.inSync.pools = inSync;
    this.pools = pools;
  }

  setWorkloads(workloads: readonly Workload[], inSync: boolean): void {
    this.#sync('workloads', inSync);
    const kept = new Set(workloads.map((workload) => workload.hostInterface));
    for (const name of this.workloads.keys()) if (!kept.has(name) && !this.#fresh.has(name)) this.#remove(name);
    for (const name of this.released) if (!kept.has(name)) this.released.delete(name);
    for (const workload of workloads) {
      this.#fresh.delete(workload.hostInterface);
      if (!this.released.has(workload.hostInterface)) this.#add(workload);
    }
  }

  plugged(workload: Workload): void {
    this.released.delete(workload.hostInterface);
    this.#fresh.add(workload.hostInterface);
    this.#add(workload);
    // Its interface is another one now, even where the agent's memory had the workload before.
    this.#touch(workload);
  }

  unplugged(hostInterface: string): Workload | undefined {
    this.released.add(hostInterface);
    this.#fresh.delete(hostInterface);
    return this.#remove(hostInterface);
  }

  #add(workload: Workload): void {
    const old = this.workloads.get(workload.hostInterface);
    if (old !== undefined && old.addresses.join() === workload.addresses.join()) {
      this.workloads.set(workload.hostInterface, workload);
      return;
    }
    this.#remove(workload.hostInterface);
    this.workloads.set(workload.hostInterface, workload);
    this.#touch(workload);
  }

  #remove(hostInterface: string): Workload | undefined {
    const workload = this.workloads.get(hostInterface);
    if (workload === undefined) return undefined;
    this.workloads.delete(hostInterface);
    this.#touch(workload);
    return workload;
  }

  workloadPrefixes(): ReadonlyMap<Prefix, Workload> {
    this.#byPrefix ??= workloadPrefixes(this.workloads.values());
    return this.#byPrefix;
  }

  mark(prefixes: Iterable<Prefix>): void {
    for (const prefix of prefixes) this.#prefixes.add(prefix);
  }

  markEverything(): void {
    this.#everything = true;
  }

  markNat(): void {
    this.#nat = true;
  }

  /** What is dirty since the last call; the caller marks again what it could not do. */
  take(): Dirty {
    const dirty = { everything: this.#everything, prefixes: this.#prefixes, nat: this.#nat };
    this.#everything = false;
    this.#nat = false;
    this.#prefixes = new Set();
    return dirty;
  }

  /** An input that came in sync allows deletions it did not allow before: everything is looked at once more. */
  #sync(table: Table, inSync: boolean): void {
    if (this.inSync[table] !== inSync) this.#everything = true;
    this.inSync[table] = inSync;
  }

  #touch(workload: Workload): void {
    this.#byPrefix = undefined;
    for (const ip of workload.addresses) this.#prefixes.add(hostPrefix(ip));
  }
}
