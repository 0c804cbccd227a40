// Keeps what is written on IPPools true: the condition, the counts, and the finalizer that holds a pool in use. The one
// writer of all three.
//
// Invariants: a write only where something differs; the finalizer is on every pool that has blocks, and comes off a pool
// being deleted only when the API itself says that no address is in use and agents have had time to see the deletion.
import { isRecord, isStatus, type JsonRecord, type KubeClient, type KubeObject, resources, withClaim } from '#kube';
import { type TimerHandle, Worker } from '#reconcile';
import { formatError } from '#observe';
import { type Cluster, type PoolSnapshot, readBlocks } from './cluster.ts';
import type { Election } from './election.ts';
import { type PoolReport, reportPools } from './pool-report.ts';
import type { Tools } from './tools.ts';

export const poolFinalizer = 'manx.network/addresses-in-use';

const minGapMs = 1_000;
const resyncMs = 300_000;
/** An agent that has not heard of the deletion may still assign; its watch is faster than this unless it is broken. */
const settleMs = 2_000;

export interface PoolKeeperParts {
  readonly client: KubeClient;
  readonly cluster: Cluster;
  readonly election: Election;
  /** Wall clock, ms since 1970. */
  readonly now: () => number;
}

export interface PoolKeeper {
  start(): void;
  stop(): Promise<void>;
  trigger(): void;
  failures(): number;
}

export function createPoolKeeper(tools: Tools, parts: PoolKeeperParts): PoolKeeper {
  return new Keeper(tools, parts);
}

class Keeper implements PoolKeeper {
  readonly #tools: Tools;
  readonly #parts: PoolKeeperParts;
  readonly #worker: Worker;
  readonly #written = new Map<string, string>();
  readonly #terminatingSince = new Map<string, number>();
  #writtenAllMs = Number.NEGATIVE_INFINITY;
  #again: TimerHandle | undefined;

  constructor(tools: Tools, parts: PoolKeeperParts) {
    this.#tools = tools;
    this.#parts = parts;
    const { timers, random, log } = tools;
    this.#worker = new Worker({
      name: 'pools',
      run: (signal) => this.#run(signal),
      timers,
      random,
      minGapMs,
      resyncMs,
      onError: (error, attempt) =>
        attempt === 3 ? log.warn('pools cannot be kept up to date', { reason: formatError(error) }) : undefined,
    });
  }

  start(): void {
    this.#worker.start();
  }

  async stop(): Promise<void> {
    if (this.#again !== undefined) this.#tools.timers.clear(this.#again);
    await this.#worker.stop();
  }

  trigger(): void {
    this.#worker.trigger();
  }

  failures(): number {
    return this.#worker.status().failures;
  }

  async #run(stop: AbortSignal): Promise<void> {
    const { cluster, election } = this.#parts;
    const term = election.term();
    const snapshot = cluster.pools();
    if (term === undefined || snapshot === undefined) {
      this.#written.clear();
      return;
    }
    const nowMs = this.#tools.timers.now();
    if (nowMs - this.#writtenAllMs >= resyncMs) {
      this.#written.clear();
      this.#writtenAllMs = nowMs;
    }
    this.#noteTerminating(snapshot, nowMs);
    const signal = AbortSignal.any([stop, term]);
    const reports = reportPools(snapshot);
    for (const name of this.#written.keys()) if (!reports.has(name)) this.#written.delete(name);
    const failures: unknown[] = [];
    for (const [name, report] of reports) {
      const pool = snapshot.pools.find((each) => each.name === name);
      const text = JSON.stringify([pool?.createdAt, pool?.terminating, report]);
      if (this.#written.get(name) === text) continue;
      try {
        if (await this.#write(name, report, { snapshot, signal })) this.#written.set(name, text);
      } catch (error) {
        if (term.aborted) return;
        if (!isStatus(error, 404)) failures.push(error);
      }
    }
    // one pool that cannot be written does not hold up the others
    if (failures.length > 0) throw failures[0];
  }

  #noteTerminating({ pools }: PoolSnapshot, nowMs: number): void {
    const terminating = new Set(pools.filter((pool) => pool.terminating).map(({ name }) => name));
    for (const name of terminating) this.#terminatingSince.set(name, this.#terminatingSince.get(name) ?? nowMs);
    for (const name of this.#terminatingSince.keys()) if (!terminating.has(name)) this.#terminatingSince.delete(name);
  }

  /** True when the object says all of it. */
  async #write(
    name: string,
    report: PoolReport,
    { snapshot, signal }: { snapshot: PoolSnapshot; signal: AbortSignal },
  ): Promise<boolean> {
    const { client, election } = this.#parts;
    let object = await client.find(resources.ipPools, name, { signal });
    if (object === undefined) return true;
    const isTerminating = object.metadata['deletionTimestamp'] !== undefined;
    const held = finalizersOf(object).includes(poolFinalizer);
    const wanted = report.inUse || (!isTerminating && report.counts.blocks > 0);
    if (wanted !== held && !(wanted && isTerminating)) {
      if (isTerminating && !(await this.#mayLetGo(name, { snapshot, signal }))) return false;
      const others = finalizersOf(object).filter((each) => each !== poolFinalizer);
      const finalizers = wanted ? [...others, poolFinalizer] : others;
      election.guard();
      object = await client.replace(
        resources.ipPools,
        { ...object, metadata: { ...object.metadata, finalizers } },
        { signal },
      );
      this.#tools.log.info(wanted ? 'pool is held while it is in use' : 'pool is let go', { pool: name });
      if (isTerminating) return true;
    }
    const status = withReport(object, report, new Date(this.#parts.now()).toISOString());
    if (status === undefined) return true;
    election.guard();
    await client.replaceStatus(resources.ipPools, { ...object, status }, { signal });
    return true;
  }

  /** Asks the API itself whether a pool being deleted is empty, once agents had time to hear of it. */
  async #mayLetGo(
    name: string,
    { snapshot, signal }: { snapshot: PoolSnapshot; signal: AbortSignal },
  ): Promise<boolean> {
    const { timers } = this.#tools;
    const since = this.#terminatingSince.get(name) ?? timers.now();
    if (timers.now() - since >= settleMs) {
      const fresh = { ...snapshot, ...(await readBlocks(this.#parts.client, signal)) };
      return reportPools(fresh).get(name)?.inUse === false;
    }
    if (this.#again !== undefined) timers.clear(this.#again);
    this.#again = timers.set(() => this.trigger(), settleMs);
    return false;
  }
}

function finalizersOf(object: KubeObject): readonly string[] {
  const { finalizers } = object.metadata;
  return Array.isArray(finalizers) ? finalizers.filter((each) => typeof each === 'string') : [];
}

/** The status of `object` with the report in it, undefined when it is there already; `now` is RFC 3339. Pure. */
export function withReport(object: KubeObject, { claim, counts }: PoolReport, now: string): JsonRecord | undefined {
  const status = isRecord(object.status) ? object.status : {};
  const claimed = withClaim(object, claim, now);
  const isCounted = Object.entries(counts).every(([field, value]) => status[field] === value);
  return claimed === undefined && isCounted ? undefined : { ...(claimed ?? status), ...counts };
}
