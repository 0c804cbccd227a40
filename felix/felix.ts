/**
 * Felix as the programs see it, and how its parts hang together: setters fill the tables, monitor hints and tables make
 * the loop work, plug and unplug build pods and wait for the loop. Invariant: `stop()` changes nothing in the kernel.
 */
import { hostPrefix, type Prefix } from '#net';
import { createIproute2Backend } from './driver/iproute2-backend.ts';
import type { RouteBackend, RouteOwnership } from './driver/route-backend.ts';
import { ownSysctls } from './driver/sysctls.ts';
import { FelixError } from './errors.ts';
import { Hints } from './hints.ts';
import type { LearnedBatch, LearnedRoute, NodeInput, PoolInput, Workload, WorkloadKey } from './inputs.ts';
import { type Batch, createBatch } from './iproute2/batch.ts';
import { createMonitor, type Hint, type Monitor } from './iproute2/monitor.ts';
import { startChild } from './iproute2/run.ts';
import { createShell, type Shell } from './iproute2/shell.ts';
import { Loop } from './loop.ts';
import type { FelixOptions } from './options.ts';
import { checkHost } from './preflight.ts';
import type { FelixStatus } from './status.ts';
import { Tables } from './tables.ts';
import { Connections } from './workload/connections.ts';
import { hostInterfaceName } from './workload/name.ts';
import { checkWorkload, isOurInterface, type Place, placeFault } from './workload/plug.ts';
import { Wiring } from './workload/wiring.ts';

/** The keeper of this node's kernel. Setters are cheap, keep the last value and mark work to do; nothing they do throws. */
export interface Felix {
  /** Starts the child processes and reads what is there · throws FelixError NOT_ROOT, PROGRAM_MISSING, KERNEL_FEATURE. */
  start(): Promise<void>;
  /** Stops working; the kernel keeps everything. */
  stop(): Promise<void>;
  /** The node's own addresses; nothing is written before this was called once. */
  setNode(node: NodeInput): void;
  /** Own confirmed blocks: each gets a blackhole route. */
  setBlocks(blocks: readonly Prefix[], inSync: boolean): void;
  /** Replaces all learned routes. */
  setLearned(routes: readonly LearnedRoute[], inSync: boolean): void;
  /** Applies changes to the learned routes; a route with no next hops is gone. */
  applyLearned(batch: LearnedBatch): void;
  setPools(pools: readonly PoolInput[], inSync: boolean): void;
  /**
   * The table of wired workloads as the agent remembers it; wires nothing. What was plugged or unplugged meanwhile and is
   * not in the agent's memory yet, or still is, stands as it was plugged or unplugged.
   */
  setWorkloads(workloads: readonly Workload[], inSync: boolean): void;
  /**
   * Makes the pair of a pod interface while its addresses are still being found: the `plug` that follows is faster. Never
   * rejects, and needs no `plug` after it: `unplug` removes what was made.
   */
  prepare(place: Place): Promise<void>;
  /** Wires one pod interface; idempotent; resolves when pod side and host routes are in the kernel · throws FelixError. */
  plug(workload: Workload): Promise<void>;
  /** Removes one pod interface with its routes; absence is success. */
  unplug(key: WorkloadKey): Promise<void>;
  /** What is wrong with a wired workload, in words; empty means nothing. */
  check(workload: Workload): Promise<readonly string[]>;
  /** Host ends of pod interfaces present in the kernel that carry our mark, known or not: for garbage collection. */
  interfaces(): Promise<readonly string[]>;
  /** Removes a host end by name, for garbage collection; refuses a name that is not ours. */
  removeInterface(hostInterface: string): Promise<void>;
  /** Own blocks whose blackhole is in the kernel: these may be advertised. */
  programmedBlocks(): readonly Prefix[];
  /** Called after a change of `programmedBlocks()`; returns how to stop listening. */
  onProgrammed(listener: (blocks: readonly Prefix[]) => void): () => void;
  /** Whether `start()` found routes of ours: the kernel state survived the last agent (RFC 4724 forwarding bit). */
  hasOwnState(): boolean;
  /** Resolves when no work is pending and the kernel holds what it should, or the last attempt failed. */
  settled(): Promise<void>;
  status(): FelixStatus;
}

/** Scripts at a time: a node has few cores, and the kernel does links one by one anyway (rtnl lock). */
const SHELLS = 3;
/** Longest a script, or a chunk of routes, may take; kubelet gives an ADD two minutes, the agent 30 s. */
const SCRIPT_TIMEOUT_MS = 20_000;
const MONITOR_RESTART_MS = 1_000;
/** When the uplink is not known. */
const DEFAULT_MTU = 1500;

/** Builds Felix for the network namespace this process lives in; does nothing until `start()`. */
export function createFelix(options: FelixOptions): Felix {
  return new NodeFelix(options);
}

/** Everything that exists only between start and stop. */
interface Running {
  readonly batch: Batch;
  readonly shell: Shell;
  readonly backend: RouteBackend;
  readonly monitor: Monitor;
  readonly loop: Loop;
  readonly wiring: Wiring;
  readonly connections: Connections;
  readonly natReason: string | undefined;
  readonly nexthopReason: string | undefined;
}

class NodeFelix implements Felix {
  readonly #options: FelixOptions;
  readonly #tables = new Tables();
  readonly #listeners = new Set<(blocks: readonly Prefix[]) => void>();
  #running: Running | undefined;
  #programmed: readonly Prefix[] = [];
  #ownState = false;

  constructor(options: FelixOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    if (this.#running !== undefined) return;
    const { settings, log, timers, random } = this.#options;
    const shell = createShell({ startChild, timers, size: SHELLS, timeoutMs: SCRIPT_TIMEOUT_MS });
    const { natReason, nexthopReason } = await checkHost(shell, settings).catch((error: unknown) => {
      shell.stop();
      throw error;
    });
    if (natReason !== undefined) log.error({ reason: natReason }, 'source NAT is not available');
    const batch = createBatch({ startChild, timers, timeoutMs: SCRIPT_TIMEOUT_MS });
    if (nexthopReason !== undefined) log.warn({ reason: nexthopReason }, 'routes carry their gateways themselves');
    const natAvailable = natReason === undefined;
    const nexthops = nexthopReason === undefined;
    const ownership = { protocol: settings.routeProtocol, metric: settings.metric, nexthops };
    const backend = await this.#openBackend(ownership, { batch, shell }).catch((error: unknown) => {
      batch.stop();
      shell.stop();
      throw error;
    });
    const loop = new Loop({
      settings,
      tables: this.#tables,
      batch,
      shell,
      backend,
      nexthops,
      sysctls: ownSysctls,
      natAvailable,
      log,
      timers,
      random,
    });
    const hints = new Hints({ settings, tables: this.#tables, loop, batch, log });
    const onHint = (hint: Hint) => hints.take(hint);
    const isEcho = loop.routes.isEcho.bind(loop.routes);
    const monitor = createMonitor({ startChild, timers, restartMs: MONITOR_RESTART_MS, onHint, nexthops, isEcho });
    this.#running = {
      batch,
      shell,
      backend,
      monitor,
      loop,
      wiring: new Wiring(shell, batch),
      connections: new Connections(shell),
      natReason,
      nexthopReason,
    };
    await loop
      .start(() => this.#applied())
      .catch(async (error: unknown) => {
        await this.stop();
        throw error;
      });
    this.#ownState = loop.routes.actual.size > 0;
  }

  /** The one handed in, or iproute2 where there is none or it cannot be had here. */
  async #openBackend(ownership: RouteOwnership, children: { batch: Batch; shell: Shell }): Promise<RouteBackend> {
    const { routeBackend } = this.#options;
    return (await routeBackend?.(ownership)) ?? createIproute2Backend({ ...children, ownership });
  }

  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    if (running === undefined) return;
    await running.loop.stop();
    running.monitor.stop();
    running.backend.stop();
    running.batch.stop();
    running.shell.stop();
  }

  setNode(node: NodeInput): void {
    this.#tables.setNode(node.addresses);
    this.#running?.loop.trigger();
  }

  setBlocks(blocks: readonly Prefix[], inSync: boolean): void {
    this.#tables.setBlocks(blocks, inSync);
    this.#running?.loop.trigger();
  }

  setLearned(routes: readonly LearnedRoute[], inSync: boolean): void {
    this.#tables.setLearned(routes, inSync);
    this.#running?.loop.trigger();
  }

  applyLearned(batch: LearnedBatch): void {
    this.#tables.applyLearned(batch);
    this.#running?.loop.trigger();
  }

  setPools(pools: readonly PoolInput[], inSync: boolean): void {
    this.#tables.setPools(pools, inSync);
    this.#running?.loop.trigger();
  }

  setWorkloads(workloads: readonly Workload[], inSync: boolean): void {
    this.#tables.setWorkloads(workloads, inSync);
    this.#running?.loop.trigger();
  }

  async plug(workload: Workload): Promise<void> {
    checkWorkload(workload, this.#options.settings.interfacePrefix);
    const { loop, wiring } = this.#needRunning();
    if (!this.#tables.inSync.node) throw new FelixError('STOPPED', "the node's addresses are not known yet");
    await wiring.inOrder(workload.hostInterface, async () => {
      const isNew = await wiring.wire(workload, this.#mtuOf(workload));
      if (isNew) loop.forgetDevice(workload.hostInterface);
      loop.deviceMade(workload.hostInterface);
      this.#tables.plugged(workload);
      await loop.applied(workload.addresses.map(hostPrefix));
    });
  }

  async prepare(place: Place): Promise<void> {
    const { settings } = this.#options;
    const wiring = this.#running?.wiring;
    if (wiring === undefined || placeFault(place, settings.interfacePrefix) !== undefined) return;
    await wiring.inOrder(place.hostInterface, () => wiring.prepare(place, this.#mtuOf(place)));
  }

  async unplug(key: WorkloadKey): Promise<void> {
    await this.removeInterface(hostInterfaceName(key.containerId, key.ifname, this.#options.settings.interfacePrefix));
  }

  async removeInterface(hostInterface: string): Promise<void> {
    if (!isOurInterface(hostInterface, this.#options.settings.interfacePrefix)) {
      throw new FelixError('INVALID', `interface ${hostInterface} is not one of ours`);
    }
    const { loop, wiring, connections } = this.#needRunning();
    await wiring.inOrder(hostInterface, async () => {
      const workload = this.#tables.unplugged(hostInterface);
      // The routes go within a millisecond, the link takes twenty and would take them along.
      const routes = loop.applied((workload?.addresses ?? []).map(hostPrefix)).catch(() => undefined);
      await wiring.unwire(hostInterface);
      await routes;
      await connections.forget(workload?.addresses ?? []);
      loop.forgetDevice(hostInterface);
    });
  }

  async check(workload: Workload): Promise<readonly string[]> {
    checkWorkload(workload, this.#options.settings.interfacePrefix);
    const { wiring } = this.#needRunning();
    return wiring.inOrder(workload.hostInterface, () => wiring.check(workload));
  }

  async interfaces(): Promise<readonly string[]> {
    return this.#needRunning().wiring.interfaces(this.#options.settings.interfacePrefix);
  }

  programmedBlocks(): readonly Prefix[] {
    return this.#programmed;
  }

  onProgrammed(listener: (blocks: readonly Prefix[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  hasOwnState(): boolean {
    return this.#ownState;
  }

  async settled(): Promise<void> {
    await this.#running?.loop.settled();
  }

  status(): FelixStatus {
    const running = this.#running;
    const loop = running?.loop;
    return {
      inSync: { ...this.#tables.inSync },
      desired: loop?.routes.desired.size ?? 0,
      actual: loop?.routes.actual.size ?? 0,
      workloads: this.#tables.workloads.size,
      unresolved: faults(loop?.routes.unresolved),
      conflicts: faults(loop?.routes.conflicts),
      drift: loop?.drift.status ?? { added: 0, changed: 0, removed: 0, links: 0, nat: 0, sysctls: 0 },
      counters: {
        ...(loop?.counters ?? { commands: 0, readBacks: 0, failures: 0 }),
        respawns: running === undefined ? 0 : respawnsOf(running),
      },
      lastRepair: loop?.drift.lastRepair,
      routes: {
        backend: running?.backend.name,
        nexthops: {
          available: running !== undefined && running.nexthopReason === undefined,
          reason: running?.nexthopReason,
        },
      },
      nat: { available: running !== undefined && running.natReason === undefined, reason: running?.natReason },
      connections: { reason: running?.connections.fault },
      lastError: loop?.lastError,
    };
  }

  #needRunning(): Running {
    if (this.#running === undefined) throw new FelixError('STOPPED', 'felix is not running');
    return this.#running;
  }

  /** The pod's own, the setting, or the MTU of the interface with the node's first address. */
  #mtuOf(workload: Place): number {
    const fixed = workload.mtu ?? this.#options.settings.mtu;
    if (fixed !== undefined) return fixed;
    const links = this.#running?.loop.kernel.links ?? [];
    for (const ip of this.#tables.node) {
      const link = links.find(
        (candidate) => !candidate.loopback && candidate.addresses.some((address) => address.ip === ip),
      );
      if (link !== undefined) return link.mtu;
    }
    return DEFAULT_MTU;
  }

  #applied(): void {
    const loop = this.#running?.loop;
    if (loop === undefined) return;
    const programmed = [...this.#tables.blocks.keys()].filter(
      (block) => loop.routes.actual.get(block)?.type === 'blackhole',
    );
    if (programmed.join() === this.#programmed.join()) return;
    this.#programmed = programmed;
    for (const listener of this.#listeners) listener(programmed);
  }
}

function respawnsOf({ batch, shell, backend, monitor }: Running): number {
  return batch.respawns + shell.respawns + backend.respawns + monitor.respawns;
}

function faults(map: ReadonlyMap<Prefix, string> | undefined): FelixStatus['unresolved'] {
  return [...(map ?? [])].map(([prefix, reason]) => ({ prefix, reason }));
}
